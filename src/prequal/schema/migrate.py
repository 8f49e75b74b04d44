"""The database's shape, step by step and back again.

Invariant: two processes that migrate at once take turns (an advisory lock in `migrations/env.py`).
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy.exc import DBAPIError, OperationalError

from prequal.core.errors import Misconfigured, Transient
from prequal.postgres.connections import connected, describe
from prequal.schema import locks, roles
from prequal.schema.retention import maintain
from prequal.schema.version import refuse_unreleased, revision_of

MIGRATIONS = Path(__file__).parent / "migrations"
INSUFFICIENT_PRIVILEGE = "42501"


@dataclass(frozen=True, slots=True)
class Migrated:
    """The revision at which the database was, and at which it is; None for empty."""

    before: str | None
    after: str | None


def upgrade(database_url: str, revision: str = "head") -> Migrated:
    """Bring the database up to `revision`; at the newest make the archive's partitions, and grant the roles their own.

    Raises:
        Misconfigured: the database is at a revision that this code does not know, or `revision` does not exist; or the
            database turns the user away, or does not let it change the tables.
        Transient: the database cannot be reached, or went away half-way, or a table stayed locked for ten minutes: it
            may simply be migrated again.
    """
    done = _run(command.upgrade, database_url, revision)
    if revision == "head":
        maintain(database_url)
        roles.grant(database_url)
    return done


def downgrade(database_url: str, revision: str) -> Migrated:
    """Take the database back to `revision` (`base` for empty, `-1` for one step). Data of later steps are lost.

    Raises:
        Misconfigured, Transient: as for `upgrade`.
    """
    return _run(command.downgrade, database_url, revision)


def _run(step: Callable[[Config, str], None], database_url: str, revision: str) -> Migrated:
    # psycopg gives no SQLSTATE when a connection is refused; asyncpg does, so it is asked first.
    before = asyncio.run(_revision(database_url))
    refuse_unreleased(before)
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["database_url"] = database_url
    try:
        _patiently(lambda: step(config, revision), database_url)
    except CommandError as error:
        raise Misconfigured(
            f"The database cannot be migrated ({error}): if it was migrated by newer code, run that code instead."
        ) from error
    except DBAPIError as error:
        raise _translated(error) from None
    return Migrated(before, asyncio.run(_revision(database_url)))


def _patiently(step: Callable[[], None], database_url: str) -> None:
    """Run the step; again after a pause, from the revision that it reached, as long as a table is locked."""
    patience = locks.Patience("The migration")
    while True:
        try:
            return step()
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) != locks.LOCK_NOT_AVAILABLE:
                raise
        time.sleep(patience.next_pause(asyncio.run(_holder(database_url))))


async def _holder(database_url: str) -> str:
    async with connected(database_url, "migrate") as connection:
        return await locks.oldest_holder(connection)


async def _revision(database_url: str) -> str | None:
    async with connected(database_url, "migrate") as connection:
        return await revision_of(connection)


def _translated(error: DBAPIError) -> Exception:
    """What the caller can do about it; an error that neither the infrastructure nor the user explains is a bug."""
    if getattr(error.orig, "sqlstate", None) == INSUFFICIENT_PRIVILEGE:
        return Misconfigured("The database cannot be migrated by this user: set DATABASE_URL of the tables' owner.")
    if isinstance(error, OperationalError) and error.orig:
        return Transient(f"PostgreSQL failed half-way, and may simply be migrated again: {describe(error.orig)}")
    return error
