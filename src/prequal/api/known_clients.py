"""The clients of the API as this process knows them: read every two seconds, and when each secret was last used.

Invariant: no request waits for the database to be recognised; while it is away, what was last read is true, by its
clock as it was then and goes on.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from time import monotonic
from typing import Final

from prequal.api_clients import queries
from prequal.core.errors import Transient
from prequal.core.lifecycle import pause
from prequal.postgres.connections import Connection, ConnectionPool
from prequal.telemetry.failures import LoggedOnce

REFRESH_SECONDS: Final = 2.0
"""A revocation holds within 5 s: this, and the bound of one reading."""
READ_SECONDS: Final = 2.5
USE_SECONDS: Final = 60.0
"""The last use of a secret is written so seldom."""

SecretId = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sends a request, and what he may do."""

    client: str
    scopes: frozenset[str]
    sandbox: bool
    requests_per_second: int | None
    """To each API process; None for any number."""


@dataclass(frozen=True, slots=True)
class KnownSecret:
    """A secret that is not revoked, or a token of an issuer, which has no slot.

    Its times are seconds since 1970, by the database's clock.
    """

    caller: Caller
    slot: int | None
    secret_hmac: bytes
    not_before: float
    expires_at: float


class KnownClients:
    """The secrets that live, by client.

    Attributes:
        verified: secrets of ours by their token's hash, as it was found right since the last reading; filled by who
            finds it, one entry for a secret at most.
    """

    def __init__(self, read_pool: ConnectionPool, issuer: str = "") -> None:
        """Describe them; with an issuer, those that are known by its tokens too."""
        self._read_pool = read_pool
        self._issuer = issuer
        self._subjects: dict[str, Caller] = {}
        self._secrets: dict[str, list[KnownSecret]] | None = None
        self.verified: dict[bytes, KnownSecret] = {}
        self._epoch = 0.0
        self._used: set[SecretId] = set()
        self._written: dict[SecretId, float] = {}
        self._failures = LoggedOnce("clients_not_read", TimeoutError, Transient)

    @property
    def are_known(self) -> bool:
        """Whether they were read, once."""
        return self._secrets is not None

    def secrets_of(self, client: str) -> Iterable[KnownSecret]:
        """The secrets of a client, those that have not begun or are over included."""
        return (self._secrets or {}).get(client, ())

    def of_subject(self, subject: str) -> Caller | None:
        """The client that the issuer's tokens name so; None when there is none, or it is revoked."""
        return self._subjects.get(subject)

    def now(self) -> float:
        """The database's time, as far as it is known without asking: seconds since 1970."""
        return self._epoch + monotonic()

    def note_use(self, secret: KnownSecret) -> None:
        """Note that a secret was used; it is written within two seconds, once a minute."""
        if secret.slot is not None:
            self._used.add((secret.caller.client, secret.slot))

    async def load(self, connection: Connection) -> None:
        """Read the living secrets of all clients."""
        now, rows = await queries.living_secrets(connection)
        secrets: dict[str, list[KnownSecret]] = {}
        for row in rows:
            caller = Caller(row.client, frozenset(row.scopes), row.sandbox, row.requests_per_second)
            known = KnownSecret(caller, row.slot, row.secret_hmac, row.not_before, row.expires_at)
            secrets.setdefault(row.client, []).append(known)
        self._subjects = {
            subject: Caller(client, frozenset(scopes), sandbox, rate)
            for subject, client, scopes, sandbox, rate in await self._identified(connection)
        }
        self._secrets, self._epoch, self.verified = secrets, now - monotonic(), {}

    async def _identified(self, connection: Connection) -> Iterable[queries.Identified]:
        return await queries.identified_clients(connection, self._issuer) if self._issuer else ()

    async def run(self, stop: asyncio.Event) -> None:
        """Read them again and again, until `stop`; a reading that fails is logged once, and changes nothing."""
        while not stop.is_set():
            await pause(stop, REFRESH_SECONDS)
            with self._failures:
                async with asyncio.timeout(READ_SECONDS), self._read_pool.use("clients") as connection:
                    await self.load(connection)
                    await self._write_uses(connection)

    async def _write_uses(self, connection: Connection) -> None:
        now = monotonic()
        due = sorted(each for each in self._used if now - self._written.get(each, -USE_SECONDS) >= USE_SECONDS)
        if due:
            await queries.write_uses(connection, due)
            self._written.update(dict.fromkeys(due, now))
            self._used.difference_update(due)
