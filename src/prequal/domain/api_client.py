"""Callers of the API: their rights, and the one caller `local` where nobody is asked for a token.

Invariant: a scope is public from its first release; `LOCAL` is no id that a client can get.
"""

from enum import StrEnum
from typing import Final


class ClientScope(StrEnum):
    """What a client may do."""

    WRITE = "applications:write"
    READ = "applications:read"


RATE: Final = 5000
"""Requests a second to each API process, unless a client has another number."""
RATE_MAX: Final = 1_000_000

LOCAL: Final = "local"
"""The client of what is taken where nobody is asked who he is, and of what was taken before there were clients."""
