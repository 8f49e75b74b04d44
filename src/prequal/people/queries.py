"""The SQL of people.

Invariant: the database's clock says until when a name is locked.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from asyncpg import UniqueViolationError

from prequal.postgres.connections import Connection

FAILED_SIGN_INS_MAX = 5
"""So many failed sign-ins in a row lock a name."""
LOCKED_MINUTES = 15


@dataclass(frozen=True, slots=True)
class Person:
    """A person as the others see one."""

    name: str
    roles: Sequence[str]
    created_at: datetime
    disabled_at: datetime | None
    has_second_factor: bool
    locked_until: datetime | None
    """In the future, or None."""
    issuer: str | None
    subject: str | None
    """Whom the issuer's tokens name so; None, as `issuer`, when it vouches for nobody here."""

    @property
    def known_as(self) -> str:
        """The subject and its issuer, in words; empty when no issuer vouches for the person."""
        return f"{self.subject} of {self.issuer}" if self.issuer else ""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a sign-in is compared with; `now` is the database's time."""

    password_hash: str = field(repr=False)
    totp_secret: str | None = field(repr=False)
    """As it is stored: encrypted."""
    totp_last_step: int
    may_sign_in: bool
    """Neither disabled nor locked."""
    now: datetime


async def insert_person(
    connection: Connection, name: str, roles: Sequence[str], password_hash: str, totp_secret: str | None
) -> bool:
    """Whether the person was added; not when there is one of this name."""
    done = await connection.execute(
        """
        INSERT INTO people (name, roles, password_hash, totp_secret) VALUES ($1, $2, $3, $4)
        ON CONFLICT (name) DO NOTHING
        """,
        name,
        roles,
        password_hash,
        totp_secret,
    )
    return done == "INSERT 0 1"


_PERSON = """
    name, roles, created_at, disabled_at, totp_secret IS NOT NULL, CASE WHEN locked_until > now() THEN locked_until END,
    issuer, subject
"""


async def people_after(connection: Connection, name: str, most: int) -> list[Person]:
    """So many people whose names follow this one, in their order."""
    rows = await connection.fetch(f"SELECT {_PERSON} FROM people WHERE name > $1 ORDER BY name LIMIT $2", name, most)
    return [Person(*row) for row in rows]


async def locked_person(connection: Connection, name: str) -> Person | None:
    """The person of this name, locked until the transaction ends."""
    row = await connection.fetchrow(f"SELECT {_PERSON} FROM people WHERE name = $1 FOR UPDATE", name)
    return None if row is None else Person(*row)


async def set_roles(connection: Connection, name: str, roles: Sequence[str]) -> None:
    """Give a person these roles, in the place of the present ones."""
    await connection.execute("UPDATE people SET roles = $2 WHERE name = $1", name, roles)


async def disable(connection: Connection, name: str) -> None:
    """Let a person sign in never again."""
    await connection.execute("UPDATE people SET disabled_at = now() WHERE name = $1", name)


async def set_password(connection: Connection, name: str, password_hash: str) -> None:
    """Give a person a new password; a lock ends."""
    await connection.execute(
        "UPDATE people SET password_hash = $2, failed_sign_ins = 0, locked_until = NULL WHERE name = $1",
        name,
        password_hash,
    )


async def set_second_factor(connection: Connection, name: str, totp_secret: str | None) -> None:
    """Give a person a new second factor, or none."""
    await connection.execute(
        "UPDATE people SET totp_secret = $2, totp_last_step = 0 WHERE name = $1", name, totp_secret
    )


async def second_factors(connection: Connection) -> dict[str, str]:
    """The secret of each person who has one, as it is stored, by name; locked until a transaction ends."""
    rows = await connection.fetch(
        "SELECT name, totp_secret FROM people WHERE totp_secret IS NOT NULL ORDER BY name FOR UPDATE"
    )
    return {row[0]: row[1] for row in rows}


async def replace_second_factor(connection: Connection, name: str, totp_secret: str) -> None:
    """Store the same secret of a person in another form: no code becomes good again."""
    await connection.execute("UPDATE people SET totp_secret = $2 WHERE name = $1", name, totp_secret)


async def set_identity(connection: Connection, name: str, issuer: str | None, subject: str | None) -> bool:
    """Know a person by these claims of an issuer, or by none; not when they are another's who is not disabled."""
    try:
        async with connection.transaction():
            await connection.execute(
                "UPDATE people SET issuer = $2, subject = $3 WHERE name = $1", name, issuer, subject
            )
    except UniqueViolationError:
        return False
    return True


async def locked_name_of(connection: Connection, issuer: str, subject: str) -> str | None:
    """Who is known by these claims of an issuer and not disabled, locked until the transaction ends."""
    name: str | None = await connection.fetchval(
        "SELECT name FROM people WHERE issuer = $1 AND subject = $2 AND disabled_at IS NULL FOR UPDATE", issuer, subject
    )
    return name


async def credentials(connection: Connection, name: str) -> Credentials | None:
    """What a person signs in with; None when there is no such person."""
    row = await connection.fetchrow(
        """
        SELECT password_hash, totp_secret, totp_last_step,
               disabled_at IS NULL AND (locked_until IS NULL OR locked_until <= now()), now()
        FROM people WHERE name = $1
        """,
        name,
    )
    return None if row is None else Credentials(*row)


async def count_failure(connection: Connection, name: str) -> bool:
    """Count a failed sign-in; whether it was the one that locks the name. Failures of a locked name are not counted.

    What is not counted, also of a name that nobody has, writes to the log as well: without that its transaction would
    end without the wait for the disk, and its time would tell who is known here.
    """
    return bool(
        await connection.fetchval(
            """
            WITH counted AS (
                UPDATE people
                SET failed_sign_ins = CASE WHEN failed_sign_ins + 1 >= $2 THEN 0 ELSE failed_sign_ins + 1 END,
                    locked_until = CASE WHEN failed_sign_ins + 1 >= $2 THEN now() + $3 * interval '1 minute' END
                WHERE name = $1 AND disabled_at IS NULL AND (locked_until IS NULL OR locked_until <= now())
                RETURNING locked_until IS NOT NULL AS locks
            )
            SELECT (SELECT locks FROM counted)
            FROM pg_logical_emit_message(true, 'prequal', 'a sign-in failed')
            """,
            name,
            FAILED_SIGN_INS_MAX,
            LOCKED_MINUTES,
        )
    )


async def count_success(connection: Connection, name: str, verified: Credentials, totp_step: int) -> bool:
    """Forget failures, and take this step of the second factor (0: there is none).

    Not when the step was taken before, nor when the person has other credentials than those that were verified, is
    locked or is disabled by now.
    """
    done = await connection.execute(
        """
        UPDATE people SET failed_sign_ins = 0, locked_until = NULL, totp_last_step = greatest(totp_last_step, $2)
        WHERE name = $1 AND disabled_at IS NULL AND (locked_until IS NULL OR locked_until <= now())
          AND ($2 = 0 OR totp_last_step < $2)
          AND password_hash = $3 AND totp_secret IS NOT DISTINCT FROM $4
        """,
        name,
        totp_step,
        verified.password_hash,
        verified.totp_secret,
    )
    return done == "UPDATE 1"
