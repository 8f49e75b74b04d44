"""Which shape of the database this code expects.

Invariant: a test holds `REVISION` against the newest migration.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import TypeVar

from prequal.core.errors import Misconfigured
from prequal.postgres.connections import COMMAND_SECONDS, Connection, connected

T = TypeVar("T")

REVISION = "0129"

BEFORE_THE_FIRST_RELEASE = frozenset({"0001", "0002", "0003", "0004", "0005", "0006"})
"""Revisions of development alone: no step leads on from them."""


async def check_schema(connection: Connection) -> None:
    """Compare the database's revision with ours.

    Raises:
        Misconfigured: it is not migrated, or migrated by older or newer code; the message says what to do.
    """
    found = await revision_of(connection)
    if found is None:
        raise Misconfigured("The database is not migrated: run `prequal migrate`.")
    refuse_unreleased(found)
    if found != REVISION:
        raise Misconfigured(
            f"The database is at revision {found}, and this code needs {REVISION}: run `prequal migrate`; if newer "
            f"code made {found}, run that code, or `prequal migrate --down {REVISION}` with it first."
        )


async def revision_of(connection: Connection) -> str | None:
    """The revision that the database is at; None when it was never migrated."""
    if await connection.fetchval("SELECT to_regclass('alembic_version') IS NULL"):
        return None
    found: str | None = await connection.fetchval("SELECT version_num FROM alembic_version")
    return found


def refuse_unreleased(revision: str | None) -> None:
    """Refuse data that code from before the first release has left.

    Raises:
        Misconfigured: `revision` is one of that code's; the message says what to do.
    """
    if revision in BEFORE_THE_FIRST_RELEASE:
        raise Misconfigured(
            f"The database is at revision {revision}, of code from before the first release, and no migration leads on "
            f"from there: start with an empty database (for `prequal up`, move its data folder away)."
        )


@asynccontextmanager
async def connected_at_revision(
    database_url: str,
    name: str,
    session: Mapping[str, str] = MappingProxyType({}),
    command_seconds: float = COMMAND_SECONDS,
) -> AsyncIterator[Connection]:
    """A connection for one command, for as long as the block lasts, to a database of this code's revision.

    No command on it takes longer than `command_seconds`.

    Raises:
        Transient: the database cannot be reached, or failed.
        Misconfigured: the address or the password is wrong, or the database is not at this code's revision.
    """
    async with connected(database_url, name, session, command_seconds) as connection:
        await check_schema(connection)
        yield connection


def run_at_revision(
    database_url: str,
    name: str,
    work: Callable[[Connection], Awaitable[T]],
    session: Mapping[str, str] = MappingProxyType({}),
    command_seconds: float = COMMAND_SECONDS,
) -> T:
    """What `work` returns on a connection of its own, for a caller without an event loop.

    Raises what `connected_at_revision` does, and what `work` does.
    """

    async def done() -> T:
        async with connected_at_revision(database_url, name, session, command_seconds) as connection:
            return await work(connection)

    return asyncio.run(done())
