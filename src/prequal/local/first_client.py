"""The first client of the API on this machine, where the API asks for a token.

Invariant: where there is a client none is made, whatever has become of it.
"""

from typing import Final

from pydantic import SecretStr

from prequal.api_clients import administration
from prequal.core.keys import key_bytes
from prequal.domain.api_client import Scope
from prequal.record.acts import operator
from prequal.security.pan_encryption import PanHasher

NAME: Final = "prequal up"


def token_of_first_client(database_url: str, pan_hash_key: str, *, sandbox: bool) -> str | None:
    """Make a client with every right, and return its token; None where there is a client.

    Raises:
        Misconfigured: the key is not the database's.
        Transient: the database does not answer.
    """
    if administration.list_all(database_url):
        return None
    hasher = PanHasher(key_bytes(SecretStr(pan_hash_key)))
    return administration.add(database_url, hasher, operator(), NAME, list(Scope), sandbox=sandbox).token
