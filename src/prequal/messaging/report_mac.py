"""The MAC by which decision knows that credit made a report: HMAC-SHA-256 over the report's facts.

Invariant: its key decrypts no PAN, and nobody without it can have an application decided.
"""

import hmac
from collections.abc import Iterable
from typing import Final

from prequal.core.keyed_hash import KeyedHash
from prequal.core.keys import key_id

PURPOSE: Final = b"prequal credit report v1|"


class ReportMac:
    """Makes MACs under one key, and checks them under that and under retired ones.

    Attributes:
        key_id: names the key that signs, 8 bytes.
    """

    def __init__(self, key: bytes, retired: Iterable[bytes] = ()) -> None:
        """Take keys of 32 bytes."""
        self.key_id = key_id(key)
        self._signing = KeyedHash(key, PURPOSE)
        self._verifying = {key_id(each): KeyedHash(each, PURPOSE) for each in (key, *retired)}

    def __repr__(self) -> str:
        return "ReportMac()"

    def make(self, facts: bytes) -> str:
        """The MAC of a report's facts (`Event.facts`), 64 lower-case hexadecimal digits."""
        return self._signing.of(facts).hex()

    @property
    def verifies_with(self) -> frozenset[bytes]:
        """The ids of the keys whose MACs are valid."""
        return frozenset(self._verifying)

    def forget(self, ids: Iterable[bytes]) -> None:
        """Verify by the keys of these ids no more."""
        for each in ids:
            self._verifying.pop(each, None)

    def is_valid(self, mac: str | None, facts: bytes) -> bool:
        """Whether a holder of an accepted key made `mac` of these facts; takes as long for every wrong one."""
        given = (mac or "").encode()
        matches = [hmac.compare_digest(given, key.of(facts).hex().encode()) for key in self._verifying.values()]
        return True in matches
