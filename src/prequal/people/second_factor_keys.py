"""Encryption of the secrets of second factors: AES-256-GCM under PEOPLE_KEY.

Invariant: a stored secret is decrypted for the person alone that it was encrypted for; one in the clear, as earlier
releases wrote it, is nobody's before it is encrypted.

    stored = "aes-256-gcm:" · base64 of: key id (8) · nonce (12) · ciphertext (32) · tag (16)
"""

import base64
import binascii
import os
from collections.abc import Iterable
from typing import Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from prequal.core.errors import Transient
from prequal.core.keys import KEY_ID_BYTES, KeyCheck, key_id
from prequal.core.settings.people import PeopleKeySettings

PURPOSE: Final = "PEOPLE_KEY"
PREFIX: Final = "aes-256-gcm:"
_NONCE_BYTES: Final = 12
_HEADER_BYTES: Final = KEY_ID_BYTES + _NONCE_BYTES
_BOUND_TO: Final = b"prequal people.totp_secret"


class SecondFactorUnreadable(Transient):
    """No sign-in with a second factor is possible now: the console's PEOPLE_KEY does not fit. Tell an administrator."""


class SecondFactorKeys:
    """One key that encrypts, and others that decrypt only.

    Attributes:
        checks: what may be known of the keys, the one that encrypts first.
    """

    def __init__(self, current: bytes, retired: Iterable[bytes] = ()) -> None:
        keys = (current, *retired)
        self.checks = tuple(map(KeyCheck.of, keys))
        self._current_id = key_id(current)
        self._ciphers = {key_id(key): AESGCM(key) for key in keys}

    @classmethod
    def of(cls, settings: PeopleKeySettings) -> Self | None:
        """Those of the settings; None without PEOPLE_KEY."""
        keys = settings.people_keys()
        return cls(keys[0], keys[1:]) if keys else None

    def __repr__(self) -> str:
        return f"SecondFactorKeys(current={self._current_id.hex()}, keys={len(self._ciphers)})"

    def encrypted(self, secret: str, name: str) -> str:
        """What is stored of a person's secret; a fresh nonce each time."""
        nonce = os.urandom(_NONCE_BYTES)
        content = self._ciphers[self._current_id].encrypt(nonce, secret.encode(), _bound_to(self._current_id, name))
        return PREFIX + base64.b64encode(self._current_id + nonce + content).decode()

    def decrypted(self, stored: str, name: str) -> str:
        """A person's secret.

        Raises:
            SecondFactorUnreadable: it is in the clear, under a key that is not here, altered, or another person's.
        """
        token = _token(stored)
        id_, nonce, content = token[:KEY_ID_BYTES], token[KEY_ID_BYTES:_HEADER_BYTES], token[_HEADER_BYTES:]
        cipher = self._ciphers.get(id_)
        if cipher is None:
            raise SecondFactorUnreadable
        try:
            return cipher.decrypt(nonce, content, _bound_to(id_, name)).decode()
        except (InvalidTag, ValueError):
            raise SecondFactorUnreadable from None

    def is_current(self, stored: str) -> bool:
        """Whether the key that encrypts made it."""
        return key_id_of(stored) == self._current_id


def key_id_of(stored: str) -> bytes | None:
    """The id of the key that a stored secret is under; None for one in the clear."""
    return _token(stored)[:KEY_ID_BYTES] if stored.startswith(PREFIX) else None


def _token(stored: str) -> bytes:
    """The bytes of a stored secret; empty for what is none."""
    try:
        return base64.b64decode(stored.removeprefix(PREFIX), validate=True) if stored.startswith(PREFIX) else b""
    except binascii.Error:
        return b""


def _bound_to(id_: bytes, name: str) -> bytes:
    return _BOUND_TO + id_ + name.encode()
