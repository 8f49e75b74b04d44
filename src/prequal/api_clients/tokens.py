"""The credentials of a client of the API: `pq_<id>_<secret>`, and the keyed hash that alone is stored of them.

Invariant: a secret is 256 random bits, and is in the clear nowhere but in the token that is shown once.
"""

import re
import secrets
from typing import Final

from prequal.security.pan_encryption import PanHasher

ID_CHARACTERS: Final = 8
_ALPHABET: Final = "bcdfghjkmnpqrstvwxz23456789"
"""Without vowels, so that no id is a word, and without what is easily misread."""
_SECRET_BYTES: Final = 32
_TOKEN: Final = re.compile(rb"pq_([a-z0-9]{8})_[A-Za-z0-9_-]{43}")
_PURPOSE: Final = "client secret"


def new_id() -> str:
    """A client's id: 8 random letters and digits, short because each application carries it."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(ID_CHARACTERS))


def new_token(client: str) -> str:
    """A token with a fresh secret of 256 bits."""
    return f"pq_{client}_{secrets.token_urlsafe(_SECRET_BYTES)}"


def client_of(token: bytes) -> str | None:
    """The id of the client that a token names; None when it is no token of ours, whatever its length."""
    match = _TOKEN.fullmatch(token)
    return None if match is None else match[1].decode()


def fingerprint(hasher: PanHasher, token: bytes) -> bytes:
    """The 32 bytes that are stored of a token, bound to its client's id."""
    return hasher.fingerprint(_PURPOSE, token)
