"""What the simulated bureau draws a PAN's ± 5 from: a keyed hash under a key that serves nothing else.

Invariant: the draw depends on the PAN and on the draws' own key, never on `PAN_HASH_KEY`, the key of the index.
"""

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from prequal.core.keyed_hash import KeyedHash
from prequal.core.keys import KEY_BYTES
from prequal.domain.pan import Pan


class ScoreDraws:
    """Draws under a key derived (RFC 5869, HKDF-SHA-256) from `SCORE_DRAW_KEY`, or else from `ENCRYPTION_KEY`."""

    def __init__(self, key: bytes) -> None:
        """Derive the draws' own key from `key`, 32 bytes."""
        self._key = KeyedHash(HKDF(SHA256(), KEY_BYTES, salt=None, info=b"prequal score draws").derive(key))

    def __repr__(self) -> str:
        return "ScoreDraws()"

    def draw(self, pan: Pan) -> bytes:
        """32 bytes that are the PAN's own: the same at every application, and worth nothing without the key."""
        return self._key.of(pan.reveal().encode())
