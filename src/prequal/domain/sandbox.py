"""The sandbox: PANs that nobody has, whose simulated score is published, so that an integrator reaches every outcome.

Invariant: the fourth letter of each is none that the tax department gives a holder, so that none is a real person's.
"""

from collections.abc import Mapping
from typing import Final

from prequal.domain.pan import Pan

SCORES: Final[Mapping[Pan, int | None]] = {
    Pan("ABCDE1234F"): 790,
    Pan("FGHIJ5678K"): 610,
    Pan("SANDB0300A"): 300,
    Pan("SANDB0649B"): 649,
    Pan("SANDB0650C"): 650,
    Pan("SANDB0900D"): 900,
    Pan("SANDB0409E"): 790,
    Pan("SANDB0404F"): None,
}
"""The table of docs/sandbox.md, None being a person without a file: it holds only where the sandbox is switched on."""

CLAIMED: Final = Pan("SANDB0409E")
"""The one that the 24-hour rule holds for, so that an integrator sees the 409."""


def is_free_of_claims(pan: Pan) -> bool:
    """Whether the sandbox takes any number of applications of `pan` within 24 hours."""
    return pan in SCORES and pan != CLAIMED
