"""The database's shape, step by step and back again.

Invariant: two processes that migrate at once take turns (an advisory lock in `migrations/env.py`).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from prequal.core.blocking import blocking
from prequal.postgres.connections import connected
from prequal.schema import roles
from prequal.schema.retention import maintain
from prequal.schema.version import refuse_unreleased, revision_of

MIGRATIONS = Path(__file__).parent / "migrations"
HEAD = "head"
"""Alembic's word for the newest revision."""


@dataclass(frozen=True, slots=True)
class Migrated:
    """The revision at which the database was, and at which it is; None for empty."""

    before: str | None
    after: str | None


def upgrade(database_url: str, revision: str = HEAD) -> Migrated:
    """Bring the database up to `revision`; at the newest make the archive's partitions, and grant the roles their own.

    Raises:
        Misconfigured: the database is at a revision that this code does not know, or `revision` does not exist; or the
            database turns the user away, or does not let it change the tables.
        Transient: the database cannot be reached, or went away half-way, or a table stayed locked for ten minutes: it
            may simply be migrated again.
    """
    done = _run("upgrade", database_url, revision)
    if revision == HEAD:
        maintain(database_url)
        roles.grant(database_url)
    return done


def downgrade(database_url: str, revision: str) -> Migrated:
    """Take the database back to `revision` (`base` for empty, `-1` for one step). Data of later steps are lost.

    Raises:
        Misconfigured, Transient: as for `upgrade`.
    """
    return _run("downgrade", database_url, revision)


def _run(direction: Literal["upgrade", "downgrade"], database_url: str, revision: str) -> Migrated:
    # psycopg gives no SQLSTATE when a connection is refused; asyncpg does, so it is asked first.
    before = _revision(database_url)
    refuse_unreleased(before)
    if direction == "upgrade" and revision == HEAD and before == _newest():
        return Migrated(before, before)
    from prequal.schema import alembic_run  # half a second to import, which most starts need not wait for

    alembic_run.run(direction, database_url, revision, MIGRATIONS)
    return Migrated(before, _revision(database_url))


def _newest() -> str:
    return max(step.stem.partition("_")[0] for step in (MIGRATIONS / "versions").glob("*.py"))


@blocking
async def _revision(database_url: str) -> str | None:
    async with connected(database_url, "migrate") as connection:
        return await revision_of(connection)
