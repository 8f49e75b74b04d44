"""AWS KMS as the key service: data keys under a symmetric KMS key, over botocore, which signs the requests.

Invariant: nothing of an answer is repeated in a message but AWS's own name of the error.
"""

import base64
import binascii
from http import HTTPStatus
from typing import Any, Final

from prequal.core.errors import KeysUnavailable, Misconfigured
from prequal.core.key_sources import KeySource
from prequal.core.settings.key_source import KeySourceSettings
from prequal.security.data_key import DataKey
from prequal.security.key_file import WrappedKey

CONTEXT: Final = {"service": "prequal", "purpose": "applications.pan_number"}
"""Bound to each wrapped key, and shown in CloudTrail: a policy may demand it."""
SETTINGS: Final = "look at KMS_KEY_ID, KMS_REGION and the credentials that AWS_PROFILE or the like gives"
ANSWER_SECONDS: Final = 3.0
MAY_PASS: Final = {"Throttling", "ThrottlingException", "RequestLimitExceeded", "LimitExceededException"}
"""Refusals, with a status below 500, that are none for good."""


class AwsKms:
    """One KMS key; see `KeyProvider`. Credentials come from botocore's own chain."""

    def __init__(self, settings: KeySourceSettings) -> None:
        """Describe it.

        Raises:
            Misconfigured: a setting is missing, or botocore is not installed.
        """
        if not settings.kms_key_id:
            raise Misconfigured("KMS_KEY_ID is missing: which key of AWS KMS wraps keys of the ring?")
        self._key_id = settings.kms_key_id
        self._client = _client(settings)

    def generate(self) -> DataKey:
        """A fresh key of KMS's, with its wrapped form; see `KeyProvider`."""
        made = self._ask("generate_data_key", KeySpec="AES_256")
        return DataKey(made["Plaintext"], WrappedKey(KeySource.KMS, base64.b64encode(made["CiphertextBlob"]).decode()))

    def unwrap(self, wrapped: str) -> bytes:
        """The key that KMS wrapped; see `KeyProvider`."""
        try:
            blob = base64.b64decode(wrapped, validate=True)
        except (binascii.Error, ValueError):
            raise Misconfigured("A key of the ring that names kms is not base64.") from None
        return bytes(self._ask("decrypt", CiphertextBlob=blob)["Plaintext"])

    def _ask(self, act: str, **content: Any) -> dict[str, Any]:
        from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
        from botocore.exceptions import ConnectionError as NotConnected

        try:
            call = getattr(self._client, act)
            answer: dict[str, Any] = call(KeyId=self._key_id, EncryptionContext=CONTEXT, **content)
        except ClientError as error:
            raise _refused(error.response) from None
        except (NotConnected, HTTPClientError) as error:
            raise KeysUnavailable(f"AWS KMS cannot be reached: {type(error).__name__}") from None
        except BotoCoreError as error:  # such as no credentials
            raise Misconfigured(f"AWS KMS cannot be asked ({type(error).__name__}): {SETTINGS}.") from None
        except OSError as error:  # of a file that botocore reads again, such as AWS_WEB_IDENTITY_TOKEN_FILE
            raise KeysUnavailable(f"AWS's credentials cannot be read: {type(error).__name__}") from None
        return answer


def _client(settings: KeySourceSettings) -> Any:
    try:
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError
        from botocore.session import Session
    except ImportError:
        raise Misconfigured(
            "A key of ENCRYPTION_KEY_FILE, or --source, names kms, and botocore is not installed: pip install "
            "'prequal[aws]'."
        ) from None
    bounds = Config(connect_timeout=ANSWER_SECONDS, read_timeout=ANSWER_SECONDS, retries={"total_max_attempts": 1})
    region, url = settings.kms_region or None, settings.kms_endpoint_url or None
    try:
        return Session().create_client("kms", region_name=region, endpoint_url=url, config=bounds)
    except (BotoCoreError, ValueError) as error:
        raise Misconfigured(f"AWS KMS cannot be asked ({type(error).__name__}): {SETTINGS}.") from None


def _refused(answer: dict[str, Any]) -> KeysUnavailable | Misconfigured:
    """Whether KMS refuses for good, or is broken or throttles."""
    name = str(answer.get("Error", {}).get("Code", "")) or "an error without a name"
    status = int(answer.get("ResponseMetadata", {}).get("HTTPStatusCode", HTTPStatus.INTERNAL_SERVER_ERROR))
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or name in MAY_PASS:
        return KeysUnavailable(f"AWS KMS answers with {name}")
    return Misconfigured(f"AWS KMS refuses ({name}): {SETTINGS}; or that key did not wrap the key of the ring.")
