"""`security.aws_kms` by botocore, over HTTP to moto."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.awsrequest import AWSResponse
from botocore.endpoint import Endpoint

from harness.ports import free_port
from prequal.core.errors import KeysUnavailable, Misconfigured
from prequal.core.key_sources import KeySource
from prequal.core.settings import WrappingSettings, load
from prequal.security import key_providers
from prequal.security.aws_kms import CONTEXT, AwsKms
from prequal.security.key_file import RingKeys, WrappedKey
from tests.builders import a_key
from tests.support.kms import CREDENTIALS, Kms, a_kms


@pytest.fixture(scope="module")
def kms() -> Iterator[Kms]:
    with a_kms() as kms:
        yield kms


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)


def settings_of(kms: Kms, **changes: str) -> WrappingSettings:
    return load(WrappingSettings, **{name.lower(): value for name, value in kms.settings.items()} | changes)


def test_fresh_key_is_unwrapped_to_itself_by_another_process(kms: Kms) -> None:
    fresh = key_providers.generate(KeySource.KMS, settings_of(kms))

    assert len(fresh.key) == 32
    assert key_providers.unwrapped(RingKeys(fresh.stored, (a_key(1),)), settings_of(kms)) == (fresh.key, (a_key(1),))


def test_key_that_was_wrapped_for_another_purpose_is_refused(kms: Kms, monkeypatch: pytest.MonkeyPatch) -> None:
    fresh = key_providers.generate(KeySource.KMS, settings_of(kms))
    monkeypatch.setitem(CONTEXT, "purpose", "another")

    with pytest.raises(Misconfigured, match="did not wrap the key of the ring"):
        key_providers.unwrapped(RingKeys(fresh.stored), settings_of(kms))


def test_wrapped_key_that_is_not_base64_is_refused_without_repeating_it(kms: Kms) -> None:
    with pytest.raises(Misconfigured, match="is not base64") as refused:
        key_providers.unwrapped(RingKeys(WrappedKey(KeySource.KMS, "vault:v1:")), settings_of(kms))

    assert "vault:v1" not in str(refused.value)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kms_key_id": ""}, "KMS_KEY_ID is missing"),
        ({"kms_key_id": "alias/nobody"}, r"refuses \(NotFoundException\): look at KMS_KEY_ID"),
        ({"kms_region": "-"}, r"cannot be asked \(InvalidRegionError\): look at KMS_KEY_ID, KMS_REGION"),
    ],
)
def test_lasting_problem_is_one_sentence_that_names_the_setting(kms: Kms, changes: dict[str, str], words: str) -> None:
    with pytest.raises(Misconfigured, match=words):
        key_providers.generate(KeySource.KMS, settings_of(kms, **changes))


def test_missing_credentials_are_named(kms: Kms, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in CREDENTIALS:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")

    with pytest.raises(Misconfigured, match=r"NoCredentialsError\).* credentials"):
        key_providers.generate(KeySource.KMS, settings_of(kms))


def test_missing_library_is_named(kms: Kms, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "botocore.config", None)

    with pytest.raises(Misconfigured, match=r"pip install 'prequal\[aws\]'"):
        key_providers.generate(KeySource.KMS, settings_of(kms))


def test_kms_that_is_away_is_waited_for(kms: Kms) -> None:
    away = settings_of(kms, kms_endpoint_url=f"http://127.0.0.1:{free_port()}")

    with pytest.raises(KeysUnavailable, match="cannot be reached: EndpointConnectionError"):
        key_providers.generate(KeySource.KMS, away)


@pytest.mark.parametrize(
    ("status", "name", "kind"),
    [
        (500, "KMSInternalException", KeysUnavailable),
        (400, "ThrottlingException", KeysUnavailable),
        (400, "AccessDeniedException", Misconfigured),
        (400, "DisabledException", Misconfigured),
    ],
)
def test_kms_that_is_broken_or_throttles_is_waited_for_and_one_that_refuses_is_not(
    kms: Kms, monkeypatch: pytest.MonkeyPatch, status: int, name: str, kind: type[Exception]
) -> None:
    body = b'{"__type": "%s", "message": "not shown"}' % name.encode()
    monkeypatch.setattr(Endpoint, "_send", lambda *_: AWSResponse("", status, {}, Raw(body)))

    with pytest.raises(kind, match=name) as refused:
        AwsKms(settings_of(kms)).generate()

    assert "not shown" not in str(refused.value)


class Raw:
    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self) -> Iterator[bytes]:
        yield self._body


def test_file_of_credentials_that_cannot_be_read_any_more_is_waited_for(
    kms: Kms, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in CREDENTIALS:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/prequal")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))

    with pytest.raises(KeysUnavailable, match="credentials cannot be read: FileNotFoundError"):
        key_providers.generate(KeySource.KMS, settings_of(kms))
