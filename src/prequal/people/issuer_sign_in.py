"""Sign-in by an issuer, for people that an administrator tied to a name there, and its session.

Invariant: a person is found by issuer and subject together, and by nothing else that a token says.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import TypeAlias

from prequal.core.errors import Refused, UsageError
from prequal.core.refused_attempts import RefusedAttempts, address_of
from prequal.core.settings.issuer import SignInIssuerSettings
from prequal.issuers.code_flow import Attempt, CodeFlow, NotVouched
from prequal.issuers.identity import Identity
from prequal.issuers.tokens import Verified
from prequal.people import queries, sessions
from prequal.people.sign_in import WAITING_MAX, SessionLifetime, SignInBusy, TooManyRefused
from prequal.postgres import clock
from prequal.postgres.connections import Connection
from prequal.record.acts import Actor, ActorKind, Detail, record_act

Connections: TypeAlias = Callable[[], AbstractAsyncContextManager[Connection]]


class UnknownSubject(Refused):
    """Whom the issuer vouches for is nobody who may sign in here: ask an administrator."""


class IssuerSignIn:
    """Signs in whom one issuer vouches for; as many at once as wait for the turn of their password.

    What is refused after the issuer was asked is counted by address. What belongs to no attempt is not: it costs
    nothing, and any page can have a browser send it.

    Attributes:
        flow: the console as the issuer's client.
    """

    def __init__(self, issuer: str, flow: CodeFlow, lifetime: SessionLifetime, connection: Connections) -> None:
        """Wire it; `connection` gives one for as long as its block lasts."""
        self.flow = flow
        self._issuer = issuer
        self._lifetime = lifetime
        self._connection = connection
        self._turns = asyncio.Semaphore(WAITING_MAX)
        self._refused = RefusedAttempts()

    @classmethod
    def of(
        cls, settings: SignInIssuerSettings, lifetime: SessionLifetime, connection: Connections
    ) -> "IssuerSignIn | None":
        """That of these settings, if they name an issuer."""
        return cls(settings.oidc_issuer, CodeFlow(settings), lifetime, connection) if settings.oidc_issuer else None

    async def __call__(self, attempt: Attempt, given: Mapping[str, str], host: str) -> str:
        """The token of a new session, for what the issuer sent back and `host`, an IP address, has handed on.

        Raises:
            NotVouched: the issuer vouches for nobody.
            UnknownSubject: it does, and that is nobody here, or somebody who is disabled.
            TooManyRefused: either happened too often to that address; nothing is asked of the issuer.
            SignInBusy: too many wait already.
            Transient: issuer or database does not answer.
        """
        address = address_of(host)
        if seconds := self._refused.wait(address):
            raise TooManyRefused(seconds)
        if self._turns.locked():
            raise SignInBusy
        try:
            async with self._turns:
                found = await self.flow.finished(attempt, given)
            async with self._connection() as connection, connection.transaction():
                return await self._begin(connection, found)
        except Refused:
            self._refused.note(address)
            raise

    async def _begin(self, connection: Connection, found: Verified) -> str:
        identity, now = _identity(self._issuer, str(found.claims.get("sub", ""))), await clock.now(connection)
        if not found.not_before <= now.timestamp() < found.expires_at:
            raise NotVouched
        if identity is None:
            raise UnknownSubject
        name = await queries.locked_name_of(connection, identity.issuer, identity.subject)
        if name is None:
            whom = f"`{identity.subject}` of `{identity.issuer}`"
            raise UnknownSubject(f"{whom} is nobody who may sign in here: tell an administrator both.")
        token = sessions.new_token()
        await sessions.begin(connection, name, token, self._lifetime.idle_seconds, self._lifetime.seconds)
        details: dict[str, Detail] = {"issuer": self._issuer}
        await record_act(connection, Actor(ActorKind.PERSON, name), "signed_in", "person", name, details)
        return token


def _identity(issuer: str, subject: str) -> Identity | None:
    """What an administrator ties a person to; None where it is nothing that can be."""
    try:
        return Identity.of(issuer, subject)
    except UsageError:
        return None
