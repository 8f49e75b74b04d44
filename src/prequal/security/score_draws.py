"""What the simulated bureau draws a PAN's ± 5 from: a keyed hash under a key that serves nothing else.

Invariant: the draw depends on the PAN and on the draws' own key, never on `PAN_HASH_KEY`, the key of the index.
"""

from prequal.domain.pan import Pan
from prequal.security.pan_draws import draws_for


class ScoreDraws:
    """Draws under a key derived (RFC 5869, HKDF-SHA-256) from `SCORE_DRAW_KEY`, or else from `ENCRYPTION_KEY`."""

    def __init__(self, key: bytes) -> None:
        """Derive the draws' own key from `key`, 32 bytes."""
        self._draw = draws_for(b"prequal score draws", key)

    def __repr__(self) -> str:
        return "ScoreDraws()"

    def draw(self, pan: Pan) -> bytes:
        """32 bytes that are the PAN's own: the same at every application, and worth nothing without the key."""
        return self._draw(pan)
