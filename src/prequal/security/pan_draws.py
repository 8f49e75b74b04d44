"""Numbers that are a PAN's own, each purpose's under a key of its own.

Invariant: a draw depends on the PAN and on its purpose's key, never on `PAN_HASH_KEY`, which may be rotated.
"""

from collections.abc import Callable

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from prequal.core.keyed_hash import KeyedHash
from prequal.core.keys import KEY_BYTES
from prequal.domain.pan import Pan


def draws_for(purpose: bytes, key: bytes) -> Callable[[Pan], bytes]:
    """What draws 32 bytes for a PAN, the same each time, under a key derived from `key`, 32 bytes (RFC 5869)."""
    own = KeyedHash(HKDF(SHA256(), KEY_BYTES, salt=None, info=purpose).derive(key))
    return lambda pan: own.of(pan.reveal().encode())
