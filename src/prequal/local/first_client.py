"""The first client of the API on this machine, where the API asks for a token.

Invariant: where there is a client none is made, whatever has become of it.
"""

from datetime import timedelta
from typing import Final

from pydantic import SecretStr

from prequal.api_clients import administration
from prequal.core.keys import key_bytes
from prequal.domain.api_client import ClientScope
from prequal.record.acts import operator
from prequal.security.pan_encryption import PanHasher

NAME: Final = "prequal up"


class FirstClient:
    """Makes a client with every right where there is none, in as many tries as it takes."""

    def __init__(self, database_url: str, pan_hash_key: str, *, sandbox: bool) -> None:
        self._database_url = database_url
        self._hasher = PanHasher(key_bytes(SecretStr(pan_hash_key)))
        self._sandbox = sandbox
        self._was_tried = False

    def token(self) -> str | None:
        """Make the client, and return its token; None where there is a client.

        After a try that failed the client may be there, and its token be lost with the answer: it gets another one.

        Raises:
            Misconfigured: the key is not the database's.
            Transient: the database does not answer; call this again.
        """
        url, hasher = self._database_url, self._hasher
        if there := [client.name for client, _ in administration.list_all(url)]:
            is_ours = self._was_tried and there == [NAME]
            return administration.rotate(url, hasher, operator(), NAME, timedelta(0)).token if is_ours else None
        self._was_tried = True
        return administration.add(url, hasher, operator(), NAME, list(ClientScope), sandbox=self._sandbox).token
