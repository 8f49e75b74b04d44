"""Sessions of signed-in people: a token of 256 bits in a cookie, and its hash with two ends in the database.

Invariant: a session lives no longer than both of its ends; nothing but the cookie holds the token.
"""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from prequal.domain.person import PersonRole
from prequal.postgres.connections import Connection
from prequal.record.acts import Actor, ActorKind

TOKEN_BYTES: Final = 32
_SECONDS_LEFT: Final = "extract(epoch FROM least(session.idle_until, session.expires_at) - now())::float8"


@dataclass(frozen=True, slots=True)
class Session:
    """A person who is signed in, with the roles of this moment."""

    person: str
    roles: frozenset[PersonRole]
    seconds_left: float = field(default=0.0, compare=False)
    """Until it ends if it is not used again, by the database's clock."""

    @property
    def actor(self) -> Actor:
        """How the record names the person."""
        return Actor(ActorKind.PERSON, self.person)


def new_token() -> str:
    """A token: 256 random bits, 43 characters."""
    return secrets.token_urlsafe(TOKEN_BYTES)


async def begin(connection: Connection, person: str, token: str, idle_seconds: int, seconds: int) -> None:
    """Write a session of a person, and forget those of the person that have ended."""
    await connection.execute(
        "DELETE FROM people_sessions WHERE person = $1 AND (idle_until <= now() OR expires_at <= now())", person
    )
    await connection.execute(
        """
        INSERT INTO people_sessions (token_hash, person, idle_until, expires_at)
        VALUES ($1, $2, now() + $3 * interval '1 second', now() + $4 * interval '1 second')
        """,
        token_hash(token),
        person,
        idle_seconds,
        seconds,
    )


async def use(connection: Connection, token: str, idle_seconds: int) -> Session | None:
    """The session of a token, which is idle from now on; None when it has ended, or never was."""
    row = await connection.fetchrow(
        f"""
        UPDATE people_sessions AS session SET idle_until = now() + $2 * interval '1 second'
        FROM people
        WHERE session.token_hash = $1 AND session.idle_until > now() AND session.expires_at > now()
          AND people.name = session.person AND people.disabled_at IS NULL
        RETURNING people.name, people.roles, {_SECONDS_LEFT}
        """,
        token_hash(token),
        idle_seconds,
    )
    return None if row is None else Session(row[0], _roles(row[1]), row[2])


async def living(connection: Connection, token: str) -> Session | None:
    """The session of a token, which this does not keep from ending; None when it has ended, or never was."""
    row = await connection.fetchrow(
        f"""
        SELECT people.name, people.roles, {_SECONDS_LEFT} FROM people_sessions AS session
        JOIN people ON people.name = session.person
        WHERE session.token_hash = $1 AND session.idle_until > now() AND session.expires_at > now()
          AND people.disabled_at IS NULL
        """,
        token_hash(token),
    )
    return None if row is None else Session(row[0], _roles(row[1]), row[2])


async def end(connection: Connection, token: str) -> None:
    """End one session."""
    await connection.execute("DELETE FROM people_sessions WHERE token_hash = $1", token_hash(token))


async def end_all(connection: Connection, person: str) -> None:
    """End every session of a person."""
    await connection.execute("DELETE FROM people_sessions WHERE person = $1", person)


def token_hash(token: str) -> bytes:
    """A token is random: a hash without key and salt gives nobody a guess."""
    return hashlib.sha256(token.encode()).digest()


def _roles(names: Sequence[str]) -> frozenset[PersonRole]:
    return frozenset(map(PersonRole, names))
