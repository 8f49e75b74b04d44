"""Sealing, opening and hashing of PANs, and the check values that notice a wrong key.

Neighbours: `api` seals and hashes, `credit` opens; the primitives are the `cryptography` package's.
Invariant: a sealed PAN opens only beside the application it was sealed for.

    token = version (1 byte, 0x01) · key id (8) · nonce (12) · ciphertext (10) · tag (16)
"""

import hmac
import os
from collections.abc import Iterable
from hashlib import sha256
from typing import Self
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import SecretStr

from prequal.domain.pan import Pan
from prequal.kernel.db import Connection
from prequal.kernel.errors import Invalid, Misconfigured, UnknownKey
from prequal.kernel.settings import key_bytes, split

VERSION = b"\x01"
KEY_ID_BYTES = 8
NONCE_BYTES = 12
KEY_CHECK_LOCK = 0x70726573
HEADER_BYTES = len(VERSION) + KEY_ID_BYTES
TOKEN_BYTES = HEADER_BYTES + NONCE_BYTES + 10 + 16

_PURPOSE = b"prequal applications.pan_number"


def key_id(key: bytes) -> bytes:
    """The public name of a key, 8 bytes: derived from it, so that it cannot be mixed up with another's."""
    return hmac.digest(key, b"prequal key id", "sha256")[:KEY_ID_BYTES]


class KeyRing:
    """AES-256-GCM under one current key, and under retired ones for opening only."""

    def __init__(self, current: bytes, retired: Iterable[bytes] = ()) -> None:
        self.current_id = key_id(current)
        self._ciphers = {key_id(key): AESGCM(key) for key in (*retired, current)}
        self._checks = {key_id(key): check_value(key) for key in (*retired, current)}

    @classmethod
    def from_settings(cls, current: SecretStr, retired: SecretStr) -> Self:
        """The ring that `ENCRYPTION_KEY` and `ENCRYPTION_KEYS_RETIRED` describe."""
        return cls(key_bytes(current), [key_bytes(SecretStr(text)) for text in split(retired.get_secret_value())])

    def __repr__(self) -> str:
        return f"KeyRing(current={self.current_id.hex()}, keys={len(self._ciphers)})"

    def seal(self, pan: Pan, application_id: UUID) -> bytes:
        """A token that only `open` with the same application id gives the PAN back for; a fresh nonce each time."""
        header = VERSION + self.current_id
        nonce = os.urandom(NONCE_BYTES)
        sealed = self._ciphers[self.current_id].encrypt(nonce, pan.reveal().encode(), _bound_to(header, application_id))
        return header + nonce + sealed

    def require_key(self, token: bytes) -> None:
        """See that `token` is of our format and its key is on the ring; opens nothing.

        Raises:
            Invalid: it is no token of ours.
            UnknownKey: it names a key that this process was not given.
        """
        if len(token) != TOKEN_BYTES or token[:1] != VERSION:
            raise Invalid("unreadable_token", "the sealed PAN is not a token of a known version")
        if token[1:HEADER_BYTES] not in self._ciphers:
            raise UnknownKey(
                f"no key with id {token[1:HEADER_BYTES].hex()} here: add it to ENCRYPTION_KEYS_RETIRED and restart"
            )

    def open(self, token: bytes, application_id: UUID) -> Pan:
        """The PAN in `token`. Whoever calls this has recorded the access, and committed the record, before.

        Raises:
            Invalid: the token was altered, or sealed for another application.
            UnknownKey: as for `require_key`.
        """
        self.require_key(token)
        header, nonce, sealed = token[:HEADER_BYTES], token[HEADER_BYTES : HEADER_BYTES + NONCE_BYTES], token[21:]
        try:
            number = self._ciphers[header[1:]].decrypt(nonce, sealed, _bound_to(header, application_id))
        except InvalidTag:
            raise Invalid("tampered_token", "the sealed PAN was altered or belongs to another application") from None
        return Pan(number.decode())

    async def check(self, connection: Connection) -> None:
        """Compare the current key with what the database has seen; at the first start, record it.

        Raises:
            Misconfigured: the database knows other keys, and not this one.
        """
        await _check_key(connection, "ENCRYPTION_KEY", self.current_id, self._checks[self.current_id])


class PanHasher:
    """HMAC-SHA-256 under `PAN_HASH_KEY`: equal PANs are found equal, and nobody without the key can try them all."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._derived: dict[str, bytes] = {}

    def __repr__(self) -> str:
        return f"PanHasher(key_id={key_id(self._key).hex()})"

    def hash(self, pan: Pan) -> str:
        """The PAN's index, 64 lower-case hexadecimal digits."""
        return hmac.new(self._key, pan.reveal().encode(), sha256).hexdigest()

    def fingerprint(self, purpose: str, content: bytes) -> bytes:
        """32 bytes that stand for `content`, which may hold a PAN, under a key of the purpose's own."""
        if purpose not in self._derived:
            self._derived[purpose] = hmac.digest(self._key, b"prequal " + purpose.encode(), "sha256")
        return hmac.digest(self._derived[purpose], content, "sha256")

    async def check(self, connection: Connection) -> None:
        """Compare the key with what the database has seen; at the first start, record it.

        Raises:
            Misconfigured: the database was hashed with another key; under this one nobody would be a duplicate.
        """
        await _check_key(connection, "PAN_HASH_KEY", key_id(self._key), check_value(self._key))


def check_value(key: bytes) -> bytes:
    """Proof of knowing a key that tells nothing about it: 32 bytes, safe to store."""
    return hmac.digest(key, b"prequal key check value", "sha256")


def _bound_to(header: bytes, application_id: UUID) -> bytes:
    return _PURPOSE + header + application_id.bytes


async def _check_key(connection: Connection, purpose: str, name: bytes, value: bytes) -> None:
    async with connection.transaction():
        # Two processes that start first at once, with different keys, must not both be first.
        await connection.execute("SELECT pg_advisory_xact_lock($1)", KEY_CHECK_LOCK)
        known = await connection.fetch("SELECT key_id, check_value FROM key_checks WHERE purpose = $1", purpose)
        if not known:
            await connection.execute("INSERT INTO key_checks VALUES ($1, $2, $3)", purpose, name, value)
    if known and not any(hmac.compare_digest(bytes(row["check_value"]), value) for row in known):
        raise Misconfigured(
            f"{purpose} (id {name.hex()}) is not the key this database was made with "
            f"(id {bytes(known[0]['key_id']).hex()}): set the right one, and start again."
        )
