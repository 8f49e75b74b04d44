"""The MAC by which decision knows that credit made a report: HMAC-SHA-256 over the report's facts.

Invariant: its key decrypts no PAN, and nobody without it can have an application decided.
"""

import hmac
from collections.abc import Iterable
from typing import Final

from prequal.core.keyed_hash import KeyedHash

PURPOSE: Final = b"prequal credit report v1|"


class ReportMac:
    """Makes MACs under one key, and checks them under that and under retired ones."""

    def __init__(self, key: bytes, retired: Iterable[bytes] = ()) -> None:
        """Take keys of 32 bytes."""
        self._keys = [KeyedHash(each, PURPOSE) for each in (key, *retired)]

    def __repr__(self) -> str:
        return "ReportMac()"

    def make(self, facts: bytes) -> str:
        """The MAC of a report's facts (`Event.facts`), 64 lower-case hexadecimal digits."""
        return self._keys[0].of(facts).hex()

    def is_valid(self, mac: str | None, facts: bytes) -> bool:
        """Whether a holder of an accepted key made `mac` of these facts; takes as long for every wrong one."""
        given = (mac or "").encode()
        matches = [hmac.compare_digest(given, key.of(facts).hex().encode()) for key in self._keys]
        return True in matches
