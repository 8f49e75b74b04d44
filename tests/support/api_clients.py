"""Clients of the API, with tokens, and what they send."""

import itertools
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from pydantic import SecretStr

from harness.applications import an_application
from harness.database import Database
from harness.system import PAN_HASH_KEY, Service, System
from prequal.api_clients import administration
from prequal.api_clients.administration import Issued, Validity
from prequal.core.keys import key_bytes
from prequal.domain.api_client import RATE, ClientScope
from prequal.issuers.identity import Identity
from prequal.record.acts import operator
from prequal.security.pan_encryption import PanHasher

HASHER = PanHasher(key_bytes(SecretStr(PAN_HASH_KEY)))
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
_hosts = itertools.count()


def a_client(
    database: Database,
    name: str = "app",
    scopes: tuple[ClientScope, ...] = tuple(ClientScope),
    *,
    sandbox: bool = False,
    rate: int = RATE,
    validity: Validity | None = None,
) -> Issued:
    """A client that was added; an API that runs knows it two seconds later."""
    return administration.add(
        database.url, HASHER, operator(), name, scopes, sandbox=sandbox, rate=rate, validity=validity or Validity()
    )


def an_issuers_client(
    database: Database,
    issuer: str,
    subject: str,
    scopes: tuple[ClientScope, ...] = tuple(ClientScope),
    *,
    sandbox: bool = False,
) -> str:
    """The id of a client that tokens of an issuer name, and that has no secret."""
    identity = Identity(issuer, subject)
    return administration.add_identified(database.url, operator(), subject, scopes, identity, sandbox=sandbox).id


def rotated(database: Database, client: str, overlap: timedelta = timedelta(days=1)) -> Issued:
    return administration.rotate(database.url, HASHER, operator(), client, overlap)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@dataclass(frozen=True)
class Guarded:
    """An API that asks for tokens, and its clients."""

    system: System
    admin: Service
    """The same process at its admin port; never to be started."""
    database: Database
    app: Issued
    other: Issued
    reader: Issued
    writer: Issued
    sandbox: Issued
    expired: Issued
    early: Issued
    slow: Issued
    revoked: Issued

    def ask(self, method: str, path: str, *headers: tuple[str, str], **content: Any) -> httpx.Response:
        """One request, from an address of its own."""
        with self.from_an_address() as client:
            return client.request(method, path, headers=list(headers), **content)

    def raw(self, path: str) -> httpx.Response:
        """A GET of a path exactly as it is spelled."""
        with self.from_an_address() as client:
            url = httpx.URL(self.system.api.url).copy_with(raw_path=path.encode())
            return client.get(url)

    def from_an_address(self) -> httpx.Client:
        """A client with an address of this machine that no other has: wrong tokens are counted by address."""
        block, host = divmod(next(_hosts), 250)
        transport = httpx.HTTPTransport(local_address=f"127.0.{block}.{host + 2}")
        return httpx.Client(base_url=self.system.api.url, transport=transport, timeout=15)

    def post(self, token: str, body: dict[str, Any] | None = None, key: str | None = None) -> httpx.Response:
        keyed = [("Idempotency-Key", key)] if key else []
        return self.ask("POST", "/applications", *bearer(token).items(), *keyed, json=body or an_application())

    def status(self, token: str, application_id: str) -> httpx.Response:
        return self.ask("GET", f"/applications/{application_id}/status", *bearer(token).items())

    def accepted(self, token: str, body: dict[str, Any] | None = None, key: str | None = None) -> str:
        response = self.post(token, body, key)
        assert response.status_code == 202, response.text
        return str(response.json()["application_id"])
