"""The daily upkeep of the tables: partitions made ahead, old rows pruned.

Invariant: nothing of an undecided application is pruned, however old; and no service waits for the upkeep's locks.
"""

import functools
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, timedelta
from uuid import UUID

import asyncpg

from prequal.core.blocking import blocking
from prequal.core.errors import Misconfigured, Transient
from prequal.domain.application import FIRST_ID
from prequal.messaging.outbox import EVENT
from prequal.postgres import locks
from prequal.postgres.connections import DRIVER_ERRORS, Connection, connect, describe
from prequal.postgres.locks import with_lock_retries
from prequal.postgres.undecided import first_id

DAYS_AHEAD = 7
ARCHIVE_DAYS = 7
INBOX_DAYS = 30
"""Longer than an event can come again from archive and topics: 7 days each, and the rest of a topic's segment."""
REPORT_DAYS = 90
"""The oldest that BUREAU_REPORT_MAX_AGE_HOURS allows a kept report of the bureau to be used again."""
DIFFERENCES_DAYS = 90
"""Longer than a candidate is looked at before it is approved or given up."""
RESOLVED_DAYS = 90
"""Much longer than a dead letter can stay on its topic (30 days, and up to 7 of a segment that is still written to), so
that a resolved one never counts as waiting because its record is gone."""
PRUNE_ROWS = 10_000
"""How many inbox rows a statement walks along."""
PRUNE_PAGES = 200
"""How many pages of another table a statement reads: some 10,000 rows."""
AGE_INDEXES = ("processed_messages_age", "pan_claims_age", "idempotency_keys_age")
"""BRIN indexes: pages written since the last VACUUM are missing in them, and would be read at every search by age."""
STATEMENT_SECONDS = 900.0
SESSION = {
    "statement_timeout": "890000",
    "lock_timeout": str(locks.LOCK_MS),
    "enable_hashjoin": "on",
    "plan_cache_mode": "auto",
}
"""Few statements over many rows: they may take long, and use more plans than a service's. Where a range of pages is
named, no bitmap of an index by age may take its place."""
WHAT = "Maintenance"
NO_VACUUM_OF_INSERTS = "autovacuum_vacuum_insert_threshold = -1"
"""A partition of the archive is only inserted into, and dropped long before its rows would have to be frozen. To mark
its pages as visible to all is to read and write each of them once more, and WAL for each whole behind a checkpoint."""
MAINTENANCE_LOCK = 0x70726572  # the migrations' own, and one


_NEXT_CONSUMER = "SELECT consumer FROM processed_messages WHERE consumer > $1 ORDER BY consumer LIMIT 1"
_PRUNE_INBOX = f"""
    WITH walked AS MATERIALIZED (
        SELECT application_id, ctid AS place, processed_at FROM processed_messages
        WHERE consumer = $1 AND application_id > $2
          AND application_id < (SELECT {first_id(f"interval '{INBOX_DAYS} days'")})
        ORDER BY application_id LIMIT $3
    ), pruned AS (
        DELETE FROM processed_messages WHERE ctid = ANY (ARRAY (
            SELECT place FROM walked WHERE processed_at < now() - interval '{INBOX_DAYS} days'
        ))
        RETURNING consumer
    )
    SELECT (SELECT application_id FROM walked ORDER BY application_id OFFSET $3 - 1), (SELECT count(*) FROM pruned)
"""
"""SQL: prune among the next rows of a consumer; returns the last of them, NULL at the end, and how many were pruned."""


@dataclass(frozen=True, slots=True)
class Maintained:
    """What one run did."""

    partitions_made: int
    partitions_dropped: int
    carried_over: int
    inbox_pruned: int
    claims_pruned: int
    keys_pruned: int
    bureau_reports_pruned: int
    shadow_differences_pruned: int
    republications_pruned: int
    dead_letters_pruned: int


@blocking
async def maintain(database_url: str) -> Maintained:
    """Make partitions for the days ahead and prune what is no longer needed. Running it again does no harm.

    Raises:
        Transient: the database cannot be reached, or a table stayed locked.
        Misconfigured: the database is not migrated.
    """
    connection = await connect(database_url, "maintain", SESSION, STATEMENT_SECONDS)
    try:
        return await _maintain_on(connection)
    except asyncpg.UndefinedTableError:
        raise Misconfigured("The database is not migrated: run `prequal migrate`.") from None
    except DRIVER_ERRORS as error:
        raise Transient(f"Maintenance stopped half-way, and may simply be run again: {describe(error)}") from error
    finally:
        with suppress(*DRIVER_ERRORS):  # what was done is done, and what failed has said why
            await connection.close(timeout=2)
        connection.terminate()


async def _maintain_on(connection: Connection) -> Maintained:
    # Two at once would both make the same partition, or drop it while the other uses it.
    lock = f"SELECT pg_advisory_lock({MAINTENANCE_LOCK})"
    await with_lock_retries(connection, WHAT, lambda: connection.execute(lock))
    made = await with_lock_retries(connection, WHAT, lambda: make_partitions(connection))
    pruned = await _prune_all(connection)
    carried, dropped = await drop_old_partitions(connection)  # last: a long reader may hold it up
    return Maintained(partitions_made=made, partitions_dropped=dropped, carried_over=carried, **pruned)


async def _prune_all(connection: Connection) -> dict[str, int]:
    for index in AGE_INDEXES:
        summarize = f"SELECT brin_summarize_new_values('{index}'::regclass)"
        await with_lock_retries(connection, WHAT, functools.partial(connection.execute, summarize))
    return {
        "inbox_pruned": await _prune_inbox(connection),
        "claims_pruned": await _prune(connection, "pan_claims", "expires_at < now() - interval '1 day'"),
        "republications_pruned": await _prune(
            connection,
            "republications",
            "NOT EXISTS (SELECT FROM applications WHERE id = application_id AND status = 'PENDING')",
        ),
        "dead_letters_pruned": await _prune(
            connection,
            "resolved_dead_letters",
            f"greatest(written_at, resolved_at) < now() - interval '{RESOLVED_DAYS} days'",
        ),
        "bureau_reports_pruned": await _prune(
            connection, "bureau_reports", f"reported_at < now() - interval '{REPORT_DAYS} days'"
        ),
        "shadow_differences_pruned": await _prune(
            connection, "policy_shadow_differences", f"observed_at < now() - interval '{DIFFERENCES_DAYS} days'"
        ),
        "keys_pruned": await _prune(connection, "idempotency_keys", "expires_at < now() - interval '1 day'"),
    }


async def make_partitions(connection: Connection) -> int:
    """Make the archive's partitions from today to seven days ahead; days are UTC days. Returns how many were made.

    Each is made as a table of its own and attached: that lets others read and write the archive meanwhile, where
    CREATE TABLE … PARTITION OF locks them out.
    """
    today: date = await connection.fetchval("SELECT (now() AT TIME ZONE 'UTC')::date")
    made = 0
    for day in (today + timedelta(days=ahead) for ahead in range(DAYS_AHEAD + 1)):
        name = _partition(day)
        if await connection.fetchval("SELECT to_regclass($1) IS NULL", name):
            async with connection.transaction():
                await connection.execute(
                    f"CREATE TABLE {name} (LIKE outbox_archive INCLUDING DEFAULTS INCLUDING CONSTRAINTS) "
                    f"WITH ({NO_VACUUM_OF_INSERTS})"
                )
                await connection.execute(
                    f"ALTER TABLE outbox_archive ATTACH PARTITION {name} "
                    f"FOR VALUES FROM ('{day} 00:00:00+00') TO ('{day + timedelta(days=1)} 00:00:00+00')"
                )
            made += 1
    return made


async def drop_old_partitions(connection: Connection) -> tuple[int, int]:
    """Drop partitions whose last event was published over seven days ago; events of undecided applications are kept.

    Returns how many events were carried over to today's partition, and how many partitions went.
    """
    today: date = await connection.fetchval("SELECT (now() AT TIME ZONE 'UTC')::date")
    names = await connection.fetch(
        """
        SELECT relname FROM pg_class
        WHERE relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = 'outbox_archive'::regclass)
          AND relkind = 'r' AND relname ~ '^outbox_archive_[0-9]{8}$' AND relname < $1
        ORDER BY relname
        """,
        _partition(today - timedelta(days=ARCHIVE_DAYS)),
    )
    carried = 0
    for (name,) in names:
        carried += await with_lock_retries(connection, WHAT, functools.partial(_carry_over, connection, name))
        await with_lock_retries(connection, WHAT, functools.partial(_drop_partition, connection, name))
    return carried, len(names)


async def _drop_partition(connection: Connection, partition: str) -> None:
    """Detach and drop; a run that was ended in between is continued.

    DETACH … CONCURRENTLY waits for the readers of the archive without locking anybody out. It cannot be part of a
    transaction, and one that was given up must be finished by FINALIZE.
    """
    pending = await connection.fetchval(
        "SELECT inhdetachpending FROM pg_inherits WHERE inhrelid = $1::text::regclass", partition
    )
    if pending is not None:
        how = "FINALIZE" if pending else "CONCURRENTLY"
        await connection.execute(f"ALTER TABLE outbox_archive DETACH PARTITION {partition} {how}")
    await connection.execute(f"DROP TABLE {partition}")


async def _carry_over(connection: Connection, partition: str) -> int:
    """Move events of undecided applications to today's partition, so that they can be republished."""
    done: str = await connection.execute(
        f"""
        WITH undecided AS (
            DELETE FROM {partition}
            WHERE application_id IN (SELECT id FROM applications WHERE status = 'PENDING')
            RETURNING id, topic, {EVENT}, published_by
        )
        INSERT INTO outbox_archive (id, topic, {EVENT}, published_by)
        SELECT id, topic, {EVENT}, published_by FROM undecided
        """
    )
    return int(done.rpartition(" ")[2])


async def _prune_inbox(connection: Connection) -> int:
    """Walk along the key of each consumer, which is in the order of time, up to the ids of the last day to be pruned.

    A row is as old as it says: its application may have waited long. One whose id is ahead of its time is kept longer.
    """
    pruned, consumer = 0, ""
    while (consumer := await connection.fetchval(_NEXT_CONSUMER, consumer)) is not None:
        after: UUID | None = FIRST_ID
        while after is not None:
            walk = functools.partial(connection.fetch, _PRUNE_INBOX, consumer, after, PRUNE_ROWS)
            ((after, rows),) = await with_lock_retries(connection, WHAT, walk)
            pruned += rows
    return pruned


async def _prune(connection: Connection, table: str, condition: str) -> int:
    """Read the table's pages one after the other, each once, and delete what `condition` is true of."""
    pages: int = await connection.fetchval(
        "SELECT pg_relation_size($1::text::regclass) / current_setting('block_size')::integer", table
    )
    pruned = 0
    for first in range(0, pages, PRUNE_PAGES):
        range_ = f"ctid >= '({first},0)' AND ctid < '({first + PRUNE_PAGES},0)'"
        delete = f"DELETE FROM {table} WHERE {range_} AND {condition}"
        done: str = await with_lock_retries(connection, WHAT, functools.partial(connection.execute, delete))
        pruned += int(done.rpartition(" ")[2])
    return pruned


def _partition(day: date) -> str:
    return f"outbox_archive_{day:%Y%m%d}"
