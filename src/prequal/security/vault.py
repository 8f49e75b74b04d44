"""HashiCorp Vault, or OpenBao, as the key service: data keys of its transit engine, over its HTTP API.

Invariant: nothing of an answer is repeated in a message but its status.
"""

import base64
import binascii
import ssl
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import httpx

from prequal.core.errors import KeysUnavailable, Misconfigured
from prequal.core.key_sources import KeySource
from prequal.core.keys import KEY_BYTES
from prequal.core.proxies import DIRECT
from prequal.core.settings.key_source import KeySourceSettings
from prequal.security.data_key import DataKey
from prequal.security.key_file import WrappedKey

ANSWER_SECONDS: Final = 3.0
NOT_VAULT: Final = "what answers at VAULT_ADDR does not answer as Vault does"
UNKNOWN: Final = {HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND}
"""What Vault answers where there is no such mount or key, or the key did not wrap what is to be unwrapped."""


class VaultTransit:
    """One transit key of one Vault; see `KeyProvider`."""

    def __init__(self, settings: KeySourceSettings) -> None:
        """Describe it.

        Raises:
            Misconfigured: a setting is missing.
        """
        if not settings.vault_addr:
            raise Misconfigured("VAULT_ADDR is missing: where is the Vault that wraps keys of the ring?")
        if not settings.vault_transit_key:
            raise Misconfigured("VAULT_TRANSIT_KEY is missing: which key of Vault wraps keys of the ring?")
        self._settings = settings
        self._token = _token(settings)

    def generate(self) -> DataKey:
        """A fresh key of Vault's, with its wrapped form; see `KeyProvider`."""
        made = self._ask("datakey/plaintext", {"bits": KEY_BYTES * 8}, "plaintext", "ciphertext")
        return DataKey(_decoded(made["plaintext"]), WrappedKey(KeySource.VAULT, made["ciphertext"]))

    def unwrap(self, wrapped: str) -> bytes:
        """The key that Vault wrapped; see `KeyProvider`."""
        return _decoded(self._ask("decrypt", {"ciphertext": wrapped}, "plaintext")["plaintext"])

    def _ask(self, act: str, content: dict[str, Any], *wanted: str) -> dict[str, str]:
        """The texts of these names in Vault's answer."""
        settings = self._settings
        path = f"{settings.vault_transit_mount.strip('/')}/{act}/{settings.vault_transit_key}"
        headers = {"X-Vault-Token": self._token, "X-Vault-Request": "true"}
        if settings.vault_namespace:
            headers["X-Vault-Namespace"] = settings.vault_namespace
        verify = _authorities(settings)
        try:
            with httpx.Client(timeout=ANSWER_SECONDS, verify=verify, mounts=DIRECT) as http:
                answer = http.post(f"{settings.vault_addr.rstrip('/')}/v1/{path}", json=content, headers=headers)
        except (httpx.HTTPError, OSError) as error:
            raise KeysUnavailable(f"Vault at VAULT_ADDR cannot be reached: {type(error).__name__}") from None
        _require_good(answer.status_code, path)
        return _texts(answer, wanted)


def _authorities(settings: KeySourceSettings) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=settings.vault_cacert or None)
    except OSError as error:  # as ssl's errors are; the file was good at the start
        raise KeysUnavailable(f"VAULT_CACERT cannot be read: {type(error).__name__}") from None


def _token(settings: KeySourceSettings) -> str:
    token = settings.vault_token.get_secret_value()
    if settings.vault_token_file:
        try:
            token = Path(settings.vault_token_file).read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise Misconfigured(f"VAULT_TOKEN_FILE cannot be read: {type(error).__name__}.") from None
    if not (token := token.strip()) or not (token.isascii() and token.isprintable()):
        raise Misconfigured("VAULT_TOKEN_FILE, or VAULT_TOKEN, is missing or holds no token.")
    return token


def _require_good(status: int, path: str) -> None:
    """See that Vault did as it was asked.

    Raises:
        Misconfigured: it refuses for good.
        KeysUnavailable: it is sealed, a standby, overloaded or broken.
    """
    if status == HTTPStatus.FORBIDDEN:
        raise Misconfigured(
            f"Vault refuses the token of VAULT_TOKEN or VAULT_TOKEN_FILE: it may have expired, or its policies lack "
            f"`update` on {path}."
        )
    if status in UNKNOWN:
        raise Misconfigured(
            f"Vault answers {path} with status {status}: VAULT_TRANSIT_MOUNT, VAULT_TRANSIT_KEY or VAULT_NAMESPACE is "
            f"wrong, or that key did not wrap the key of the ring."
        )
    if status != HTTPStatus.OK:
        raise KeysUnavailable(f"Vault answers with status {status}")


def _texts(answer: httpx.Response, names: tuple[str, ...]) -> dict[str, str]:
    try:
        data = answer.json()["data"]
        found = {name: data[name] for name in names}
    except (ValueError, KeyError, TypeError):
        found = {}
    if not found or not all(isinstance(text, str) and text for text in found.values()):
        raise KeysUnavailable(NOT_VAULT)
    return found


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise KeysUnavailable(NOT_VAULT) from None
