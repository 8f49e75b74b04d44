"""Keys: their spelling in settings, and their ids, which may be known to anybody.

Invariant: no message about a bad key repeats it.
"""

import base64
import binascii
import hmac
from dataclasses import dataclass
from typing import Annotated, Self

from pydantic import AfterValidator, SecretStr
from pydantic_settings import NoDecode

KEY_BYTES = 32
KEY_ID_BYTES = 8


def key_bytes(secret: SecretStr) -> bytes:
    """The 32 bytes that a base64 key setting spells.

    Raises:
        ValueError: it is not base64, or not of 32 bytes.
    """
    try:
        key = base64.b64decode(secret.get_secret_value(), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("is not base64; `prequal keys generate` makes a good one") from None
    if len(key) != KEY_BYTES:
        raise ValueError(f"is {len(key)} bytes long, not {KEY_BYTES}; `prequal keys generate` makes a good one")
    return key


def keys_bytes(secrets: SecretStr) -> list[bytes]:
    """The keys of a comma-separated setting.

    Raises:
        ValueError: one of them is no key.
    """
    return [key_bytes(SecretStr(text)) for text in split(secrets.get_secret_value())]


def current_and_retired(current: SecretStr | None, retired: SecretStr) -> list[bytes]:
    """The keys of two settings, the current one first; none without it. Raises as `keys_bytes` does."""
    return [] if current is None else [key_bytes(current), *keys_bytes(retired)]


def split(text: str) -> list[str]:
    """The words of a comma-separated list, trimmed, empty ones left out."""
    return [word for word in (part.strip() for part in text.split(",")) if word]


def key_id(key: bytes) -> bytes:
    """The public name of a key, 8 bytes: derived from it, so that it cannot be mixed up with another's."""
    return hmac.digest(key, b"prequal key id", "sha256")[:KEY_ID_BYTES]


def check_value(key: bytes) -> bytes:
    """Proof of knowing a key that tells nothing about it: 32 bytes, safe to store."""
    return hmac.digest(key, b"prequal key check value", "sha256")


@dataclass(frozen=True, slots=True)
class KeyCheck:
    """What may be known of a key: its public name, 8 bytes, and proof of knowing it, 32 bytes."""

    key_id: bytes
    value: bytes

    @classmethod
    def of(cls, key: bytes) -> Self:
        """The check of a key."""
        return cls(key_id(key), check_value(key))


def must_differ(**keys: SecretStr | None) -> None:
    """See that no two of these settings hold the same key; those that are not set are left out.

    Raises:
        ValueError: two do: a holder of the one could do what only holders of the other may.
    """
    names: dict[bytes, str] = {}
    for name, secret in keys.items():
        if secret is not None and (other := names.setdefault(key_bytes(secret), name)) != name:
            raise ValueError(f"{other} and {name} are the same key; `prequal keys generate` makes good ones")


def _key_text(secret: SecretStr) -> SecretStr:
    key_bytes(secret)
    return secret


def _key_texts(secrets: SecretStr) -> SecretStr:
    keys_bytes(secrets)
    return secrets


KeyText = Annotated[SecretStr, AfterValidator(_key_text)]
KeyTexts = Annotated[SecretStr, NoDecode, AfterValidator(_key_texts)]
