"""What decides whose applications a challenger of the policy decides: a number that is the PAN's own.

Invariant: the draw depends on the PAN and on the draws' own key, never on `PAN_HASH_KEY`, which may be rotated.
"""

from prequal.domain.pan import Pan
from prequal.domain.policy.challenge import DRAWS
from prequal.security.pan_draws import draws_for


class ChallengeDraws:
    """Draws under a key derived (RFC 5869, HKDF-SHA-256) from `SCORE_DRAW_KEY`, or else from `ENCRYPTION_KEY`."""

    def __init__(self, key: bytes) -> None:
        """Derive the draws' own key from `key`, 32 bytes."""
        self._draw = draws_for(b"prequal policy challenge draws", key)

    def __repr__(self) -> str:
        return "ChallengeDraws()"

    def draw(self, pan: Pan) -> int:
        """0 … 9,999: the same at every application of the PAN, and unrelated to its score's draw."""
        return int.from_bytes(self._draw(pan)) % DRAWS
