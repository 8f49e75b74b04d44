"""A challenger's share of the applications, by the draw of each PAN.

Invariant: a person's draw is one number, so that a larger share only adds people, and takes none away.
"""

from typing import Final

DRAWS: Final = 10_000
"""Draws are 0 … one less; a share is given in basis points, of which each is one draw."""
SHARE_MAX: Final = 5_000
"""Half of the applications, in basis points: the version in force decides at least as many."""


def is_challenged(draw: int | None, share: int) -> bool:
    """Whether the challenger decides who drew `draw`; not who has no draw."""
    return draw is not None and draw < share
