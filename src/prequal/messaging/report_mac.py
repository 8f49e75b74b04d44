"""The MAC by which decision knows that credit made a report: HMAC-SHA-256 over the report's facts.

Invariant: its key decrypts no PAN, and nobody without it can have an application decided.
"""

import hmac
from collections.abc import Iterable
from hashlib import sha256
from typing import Final

PURPOSE: Final = b"prequal credit report v1|"

_BLOCK_BYTES: Final = 64
_INNER: Final = bytes(byte ^ 0x36 for byte in range(256))
_OUTER: Final = bytes(byte ^ 0x5C for byte in range(256))


class ReportMac:
    """Makes MACs under one key, and checks them under that and under retired ones."""

    def __init__(self, key: bytes, retired: Iterable[bytes] = ()) -> None:
        """Take keys of 32 bytes."""
        self._keys = [_Hmac(each) for each in (key, *retired)]

    def __repr__(self) -> str:
        return "ReportMac()"

    def make(self, facts: bytes) -> str:
        """The MAC of a report's facts (`Event.facts`), 64 lower-case hexadecimal digits."""
        return self._keys[0].of(facts)

    def is_valid(self, mac: str | None, facts: bytes) -> bool:
        """Whether a holder of an accepted key made `mac` of these facts; takes as long for every wrong one."""
        given = (mac or "").encode()
        matches = [hmac.compare_digest(given, key.of(facts).encode()) for key in self._keys]
        return True in matches


class _Hmac:
    """HMAC (RFC 2104) with both pads hashed beforehand: a third of the time of `hmac.digest`."""

    def __init__(self, key: bytes) -> None:
        padded = key.ljust(_BLOCK_BYTES, b"\0")
        self._inner = sha256(padded.translate(_INNER) + PURPOSE)
        self._outer = sha256(padded.translate(_OUTER))

    def of(self, facts: bytes) -> str:
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(facts)
        outer.update(inner.digest())
        return outer.hexdigest()
