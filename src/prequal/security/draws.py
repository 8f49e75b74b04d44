"""Numbers that are a PAN's own: for the simulated bureau's ± 5, and for whom a policy's challenger decides.

Invariant: a draw depends on the PAN and on its purpose's key, never on `PAN_HASH_KEY`, which may be rotated.
"""

from collections.abc import Callable

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from prequal.core.keyed_hash import KeyedHash
from prequal.core.keys import KEY_BYTES
from prequal.domain.pan import Pan
from prequal.domain.policy.challenge import DRAWS


class ScoreDraws:
    """Draws under a key derived (RFC 5869, HKDF-SHA-256) from `SCORE_DRAW_KEY`, or else from `ENCRYPTION_KEY`."""

    def __init__(self, key: bytes) -> None:
        """Derive the draws' own key from `key`, 32 bytes."""
        self._draw = _draws_for(b"prequal score draws", key)

    def __repr__(self) -> str:
        return "ScoreDraws()"

    def draw(self, pan: Pan) -> bytes:
        """32 bytes that are the PAN's own: the same at every application, and worth nothing without the key."""
        return self._draw(pan)


class ChallengeDraws:
    """Draws under another key that is derived from the same one."""

    def __init__(self, key: bytes) -> None:
        """Derive the draws' own key from `key`, 32 bytes."""
        self._draw = _draws_for(b"prequal policy challenge draws", key)

    def __repr__(self) -> str:
        return "ChallengeDraws()"

    def draw(self, pan: Pan) -> int:
        """0 … 9,999: the same at every application of the PAN, and unrelated to its score's draw."""
        return int.from_bytes(self._draw(pan)) % DRAWS


def _draws_for(purpose: bytes, key: bytes) -> Callable[[Pan], bytes]:
    """What draws 32 bytes for a PAN, the same each time, under a key derived from `key`, 32 bytes (RFC 5869)."""
    own = KeyedHash(HKDF(SHA256(), KEY_BYTES, salt=None, info=purpose).derive(key))
    return lambda pan: own.of(pan.reveal().encode())
