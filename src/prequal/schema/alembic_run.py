"""Runs Alembic, again while a table is locked, and translates its errors.

Invariant: nothing but `migrate` imports this, and only when there is a step to take: Alembic is slow to import.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy.exc import DBAPIError, OperationalError

from prequal.core.blocking import blocking
from prequal.core.errors import Misconfigured, Transient
from prequal.postgres import locks
from prequal.postgres.connections import connected, describe

INSUFFICIENT_PRIVILEGE = "42501"


def run(direction: Literal["upgrade", "downgrade"], database_url: str, revision: str, migrations: Path) -> None:
    """Take the steps of the folder `migrations` that lead to `revision`.

    Raises:
        Misconfigured, Transient: as for `migrate.upgrade`.
    """
    step = command.upgrade if direction == "upgrade" else command.downgrade
    config = Config()
    config.set_main_option("script_location", str(migrations))
    config.attributes["database_url"] = database_url
    try:
        _patiently(lambda: step(config, revision), database_url)
    except CommandError as error:
        raise Misconfigured(
            f"The database cannot be migrated ({error}): if it was migrated by newer code, run that code instead."
        ) from error
    except DBAPIError as error:
        raise _translated(error) from None


def _patiently(step: Callable[[], None], database_url: str) -> None:
    """Run the step; again after a pause, from the revision that it reached, as long as a table is locked."""
    retries = locks.LockRetries("The migration")
    while True:
        try:
            return step()
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) != locks.LOCK_NOT_AVAILABLE:
                raise
        time.sleep(retries.next_pause(_holder(database_url)))


@blocking
async def _holder(database_url: str) -> str:
    async with connected(database_url, "migrate") as connection:
        return await locks.oldest_holder(connection)


def _translated(error: DBAPIError) -> Exception:
    """What the caller can do about it; an error that neither the infrastructure nor the user explains is a bug."""
    if getattr(error.orig, "sqlstate", None) == INSUFFICIENT_PRIVILEGE:
        return Misconfigured("The database cannot be migrated by this user: set DATABASE_URL of the tables' owner.")
    if isinstance(error, OperationalError) and error.orig:
        return Transient(f"PostgreSQL failed half-way, and may simply be migrated again: {describe(error.orig)}")
    return error
