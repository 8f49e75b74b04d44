"""Strong locks on tables, beside transactions that are long: a backup, a report.

Invariant: no statement of ours waits longer than `LOCK_MS` for a table's lock. A statement that waits for a strong lock
makes every later one on that table wait behind it, posts included, until the long transaction ends.
"""

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Final, TypeVar

import asyncpg
import structlog

from prequal.core.backoff import Backoff
from prequal.core.errors import Transient
from prequal.postgres.connections import Connection

log = structlog.get_logger()

T = TypeVar("T")

LOCK_MS: Final = 200
LOCK_NOT_AVAILABLE: Final = "55P03"
RETRY_SECONDS = 600.0
"""How long a lock is tried for in all."""


class LockRetries:
    """The pauses between tries for a lock, and their end."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._ends = monotonic() + RETRY_SECONDS
        self._backoff = Backoff(0.5, 10.0)

    def next_pause(self, holder: str) -> float:
        """The seconds until the next try; the log says what is waited for.

        Raises:
            Transient: there is no time left; the message names the holder.
        """
        if monotonic() >= self._ends:
            raise Transient(
                f"{self._what} stopped half-way, and may simply be run again: a table is locked; "
                f"the oldest transaction on the tables is of {holder}."
            )
        log.warning("retrying", target=self._what, reason=f"a table is locked; the oldest transaction is of {holder}")
        return self._backoff.next()


async def with_lock_retries(connection: Connection, what: str, act: Callable[[], Awaitable[T]]) -> T:
    """Run `act`, and run it again after a pause as long as a table is locked. It must be safe to run again.

    Raises:
        Transient: a table stayed locked for ten minutes; the message names the holder.
    """
    retries = LockRetries(what)
    while True:
        try:
            return await act()
        except asyncpg.LockNotAvailableError:
            await asyncio.sleep(retries.next_pause(await oldest_holder(connection)))


async def oldest_holder(connection: Connection) -> str:
    """The session with the oldest transaction that holds a lock on a table of this database, in words."""
    row = await connection.fetchrow(
        """
        SELECT activity.pid, activity.usename,
               coalesce(nullif(activity.application_name, ''), activity.backend_type) AS name,
               extract(epoch FROM clock_timestamp() - activity.xact_start)::integer AS seconds
        FROM pg_stat_activity AS activity
        WHERE activity.pid <> pg_backend_pid()
          AND EXISTS (
              SELECT FROM pg_locks AS held
              WHERE held.pid = activity.pid AND held.granted AND held.locktype = 'relation'
                AND held.database = (SELECT oid FROM pg_database WHERE datname = current_database())
                AND held.relation >= 16384  -- not of the system catalog
          )
        ORDER BY activity.xact_start
        LIMIT 1
        """
    )
    if row is None:
        return "a session that has ended"
    user = f"user {row['usename']}, " if row["usename"] else ""
    age = f", for {row['seconds']} s" if row["seconds"] is not None else ""
    return f"`{row['name']}` ({user}pid {row['pid']}{age})"
