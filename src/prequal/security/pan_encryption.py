"""Encryption, decryption and hashing of PANs.

Invariant: an encrypted PAN can be decrypted only beside the application it was encrypted for.

    token = version (1 byte, 0x01) · key id (8) · nonce (12) · ciphertext (10) · tag (16)
"""

import math
import os
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from time import monotonic
from typing import Self
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import SecretStr

from prequal.core.errors import Invalid, KeysUnavailable, UnknownKey
from prequal.core.keyed_hash import KeyedHash
from prequal.core.keys import KEY_ID_BYTES, KeyCheck, key_bytes, key_id, keys_bytes
from prequal.core.settings import RingSettings
from prequal.core.settings.hash_key import HashKeySettings
from prequal.domain.pan import Pan
from prequal.security import key_file, key_providers

VERSION = b"\x01"
NONCE_BYTES = 12
HEADER_BYTES = len(VERSION) + KEY_ID_BYTES
TOKEN_BYTES = HEADER_BYTES + NONCE_BYTES + 10 + 16

_PURPOSE = b"prequal applications.pan_number"


class KeyRing:
    """AES-256-GCM under one current key, and under retired ones for decryption only.

    Keys that a key service unwrapped serve until their time is over, and are then forgotten: the ring is closed until
    it is given keys again.

    Attributes:
        checks: what may be known of the keys, the current one first; of a closed ring, nothing.
        uses: encryptions by key id, since they were last taken.
    """

    current_id: bytes
    checks: tuple[KeyCheck, ...]

    def __init__(
        self, current: bytes | None, retired: Iterable[bytes] = (), clock: Callable[[], float] = monotonic
    ) -> None:
        """A ring of these keys; without a current one, a closed ring."""
        self.uses: Counter[bytes] = Counter()
        self._clock = clock
        if current is None:
            self.close()
        else:
            self.replace(current, retired)

    def replace(self, current: bytes, retired: Iterable[bytes] = (), good_until: float = math.inf) -> None:
        """Take other keys in the place of the present ones, for use before `good_until` of the clock."""
        keys = (current, *retired)
        self._ciphers = {key_id(key): AESGCM(key) for key in keys}
        self._good_until = good_until
        self.checks = tuple(map(KeyCheck.of, keys))
        self.current_id = key_id(current)

    def close(self) -> None:
        """Forget the keys."""
        self._ciphers = {}
        self._good_until = math.inf
        self.checks = ()
        self.current_id = b""

    @property
    def is_open(self) -> bool:
        """Whether it has keys whose time is not over."""
        if self._clock() >= self._good_until:
            self.close()
        return bool(self._ciphers)

    @classmethod
    def of(cls, settings: RingSettings) -> Self:
        """The ring of the file that the settings name, or else of the keys that they hold.

        Blocks while the key services that the file names are asked. The keys serve as long as the ring is there.

        Raises:
            Misconfigured: the file is no ring, or a key service refuses.
            KeysUnavailable: a key service does not answer.
        """
        if settings.encryption_key is not None:
            return cls.from_settings(settings.encryption_key, settings.encryption_keys_retired)
        ring = key_file.read(Path(settings.encryption_key_file))
        return cls(*key_providers.unwrapped(ring, settings))

    def take_uses(self) -> Counter[bytes]:
        """The encryptions since the last call."""
        uses, self.uses = self.uses, Counter()
        return uses

    @classmethod
    def from_settings(cls, current: SecretStr, retired: SecretStr) -> Self:
        """The ring that `ENCRYPTION_KEY` and `ENCRYPTION_KEYS_RETIRED` describe."""
        return cls(key_bytes(current), keys_bytes(retired))

    def __repr__(self) -> str:
        return f"KeyRing(current={self.current_id.hex()}, keys={len(self._ciphers)})"

    def encrypt(self, pan: Pan, application_id: UUID) -> bytes:
        """A token that only `decrypt` with the same application id gives the PAN back for; a fresh nonce each time.

        Raises:
            KeysUnavailable: the ring is closed.
        """
        self._require_open()
        header = VERSION + self.current_id
        nonce = os.urandom(NONCE_BYTES)
        self.uses[self.current_id] += 1
        encrypted = self._ciphers[self.current_id].encrypt(
            nonce, pan.reveal().encode(), _bound_to(header, application_id)
        )
        return header + nonce + encrypted

    def is_current(self, token: bytes) -> bool:
        """Whether the current key made `token`; any bytes may be asked about."""
        return key_of(token) == self.current_id

    def require_key(self, token: bytes) -> None:
        """See that `token` is of our format and its key is on the ring; decrypts nothing.

        Raises:
            Invalid: it is no token of ours.
            UnknownKey: it names a key that this process was not given.
            KeysUnavailable: the ring is closed.
        """
        self._require_open()
        if len(token) != TOKEN_BYTES or token[:1] != VERSION:
            raise Invalid("unreadable_token", "the encrypted PAN is not a token of a known version")
        if key_of(token) not in self._ciphers:
            raise UnknownKey(
                f"no key with id {key_of(token).hex()} here: add it to ENCRYPTION_KEYS_RETIRED and restart"
            )

    def decrypt(self, token: bytes, application_id: UUID) -> Pan:
        """The PAN in `token`. The caller has recorded the access, and committed the record, before.

        Raises:
            Invalid: the token was altered, or encrypted for another application.
            UnknownKey, KeysUnavailable: as for `require_key`.
        """
        self.require_key(token)
        header, nonce, encrypted = token[:HEADER_BYTES], token[HEADER_BYTES : HEADER_BYTES + NONCE_BYTES], token[21:]
        try:
            number = self._ciphers[header[1:]].decrypt(nonce, encrypted, _bound_to(header, application_id))
        except InvalidTag:
            raise Invalid("tampered_token", "the encrypted PAN was altered or belongs to another application") from None
        return Pan(number.decode())

    def _require_open(self) -> None:
        if not self.is_open:
            raise KeysUnavailable


class PanHasher:
    """HMAC-SHA-256 under `PAN_HASH_KEY`: equal PANs are found equal, and nobody without the key can try them all.

    Attributes:
        check: what may be known of the key.
        retired: the same under each other key; empty unless the key rotates.
    """

    def __init__(self, key: bytes, retired: Iterable[bytes] = ()) -> None:
        self._key = KeyedHash(key)
        self.check = KeyCheck.of(key)
        self.retired = tuple(PanHasher(each) for each in retired)
        self._derived: dict[str, KeyedHash] = {}

    @classmethod
    def of(cls, settings: HashKeySettings) -> Self:
        """What `PAN_HASH_KEY` and `PAN_HASH_KEYS_RETIRED` describe."""
        return cls(key_bytes(settings.pan_hash_key), keys_bytes(settings.pan_hash_keys_retired))

    @property
    def every(self) -> "tuple[PanHasher, ...]":
        """Itself, and those of the other keys."""
        return self, *self.retired

    @property
    def key_id(self) -> bytes:
        """The public name of the key, 8 bytes."""
        return self.check.key_id

    def __repr__(self) -> str:
        return f"PanHasher(key_id={self.key_id.hex()}, others={len(self.retired)})"

    def hash(self, pan: Pan) -> str:
        """The PAN's index, 64 lower-case hexadecimal digits."""
        return self._key.of(pan.reveal().encode()).hex()

    def claim(self, pan: Pan, client: str) -> str:
        """Stands for the PAN among the claims of one client, as `hash` does among those of the local one."""
        return self.fingerprint("claim of a client", f"{client} {pan.reveal()}".encode()).hex()

    def fingerprint(self, purpose: str, content: bytes) -> bytes:
        """32 bytes that stand for `content`, which may hold a PAN, under a key of the purpose's own."""
        if purpose not in self._derived:
            self._derived[purpose] = KeyedHash(self._key.of(b"prequal " + purpose.encode()))
        return self._derived[purpose].of(content)


def key_of(token: bytes) -> bytes:
    """The id of the key that `token` names; any bytes may be asked about."""
    return token[len(VERSION) : HEADER_BYTES]


def _bound_to(header: bytes, application_id: UUID) -> bytes:
    return _PURPOSE + header + application_id.bytes
