"""A key that a key service, or this process, has just made.

Invariant: it is never shown, also not by mistake: its representation shows nothing of it.
"""

from dataclasses import dataclass

from prequal.security.key_file import StoredKey


@dataclass(frozen=True, slots=True, repr=False)
class DataKey:
    """A fresh key, and what is stored of it in the file of a ring."""

    key: bytes
    stored: StoredKey
