"""What must be done to the tables every day: partitions made ahead, old rows pruned.

Invariant: nothing of an undecided application is pruned, however old.
"""

import asyncio
from dataclasses import dataclass
from datetime import date, timedelta

import asyncpg

from prequal.core.errors import Misconfigured, Transient
from prequal.messaging.outbox import EVENT
from prequal.postgres.connections import INFRASTRUCTURE_ERRORS, Connection, connect, describe

DAYS_AHEAD = 7
ARCHIVE_DAYS = 7
INBOX_DAYS = 30
"""Longer than archive and topics together can tell an event again: 7 days each, and the rest of a topic's segment."""
RESOLVED_DAYS = 90
"""Much longer than a dead letter can lie on its topic (30 days, and up to 7 of a segment that is still written to), so
that no letter passes for one that waits because it was forgotten what became of it."""
PRUNE_ROWS = 10_000
AGE_INDEXES = ("processed_messages_age", "pan_claims_age", "idempotency_keys_age")
"""They know nothing of pages that came after the last VACUUM, and then help nobody to find old or new rows by age."""
STATEMENT_SECONDS = 900.0
SESSION = {
    "statement_timeout": "890000",
    "lock_timeout": "10000",
    "enable_bitmapscan": "on",
    "enable_hashjoin": "on",
    "plan_cache_mode": "auto",
}
"""Few statements, over many rows: given time, and every plan."""
MAINTENANCE_LOCK = 0x70726572  # the migrations' own, and one


@dataclass(frozen=True, slots=True)
class Maintained:
    """What one run did."""

    partitions_made: int
    partitions_dropped: int
    carried_over: int
    inbox_pruned: int
    claims_pruned: int
    keys_pruned: int
    republications_pruned: int
    dead_letters_pruned: int


def maintain(database_url: str) -> Maintained:
    """Make partitions for the days ahead and prune what nobody needs any more. Running it again does no harm.

    Raises:
        Transient: the database cannot be reached, or a table stayed locked.
        Misconfigured: the database is not migrated.
    """
    return asyncio.run(_maintain(database_url))


async def _maintain(database_url: str) -> Maintained:
    connection = await connect(database_url, "maintain", SESSION, STATEMENT_SECONDS)
    try:
        # Two at once would both want to make the same partition, or drop it under each other.
        await connection.execute(f"SELECT pg_advisory_lock({MAINTENANCE_LOCK})")
        for index in AGE_INDEXES:
            await connection.execute("SELECT brin_summarize_new_values($1::text::regclass)", index)
        made = await make_partitions(connection)
        carried, dropped = await drop_old_partitions(connection)
        return Maintained(
            partitions_made=made,
            partitions_dropped=dropped,
            carried_over=carried,
            inbox_pruned=await _prune(
                connection, "processed_messages", f"processed_at < now() - interval '{INBOX_DAYS} days'"
            ),
            claims_pruned=await _prune(connection, "pan_claims", "expires_at < now() - interval '1 day'"),
            republications_pruned=await _prune(
                connection,
                "republications",
                "NOT EXISTS (SELECT FROM applications WHERE id = application_id AND status = 'PENDING')",
            ),
            dead_letters_pruned=await _prune(
                connection,
                "resolved_dead_letters",
                f"greatest(written_at, resolved_at) < now() - interval '{RESOLVED_DAYS} days'",
            ),
            keys_pruned=await _prune(connection, "idempotency_keys", "expires_at < now() - interval '1 day'"),
        )
    except asyncpg.UndefinedTableError:
        raise Misconfigured("The database is not migrated: run `prequal migrate`.") from None
    except INFRASTRUCTURE_ERRORS as error:
        raise Transient(f"Maintenance stopped half-way, and may simply be run again: {describe(error)}") from error
    finally:
        await connection.close(timeout=2)


async def make_partitions(connection: Connection) -> int:
    """Make the archive's partitions from today to seven days ahead; days are UTC days. Returns how many were made."""
    today: date = await connection.fetchval("SELECT (now() AT TIME ZONE 'UTC')::date")
    made = 0
    for day in (today + timedelta(days=ahead) for ahead in range(DAYS_AHEAD + 1)):
        name = _partition(day)
        if await connection.fetchval("SELECT to_regclass($1) IS NULL", name):
            await connection.execute(
                f"CREATE TABLE IF NOT EXISTS {name} PARTITION OF outbox_archive "
                f"FOR VALUES FROM ('{day} 00:00:00+00') TO ('{day + timedelta(days=1)} 00:00:00+00')"
            )
            made += 1
    return made


async def drop_old_partitions(connection: Connection) -> tuple[int, int]:
    """Drop partitions of events published over seven days ago; events of undecided applications move to today's.

    Returns how many events were carried over, and how many partitions went.
    """
    today: date = await connection.fetchval("SELECT (now() AT TIME ZONE 'UTC')::date")
    names = await connection.fetch(
        "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'outbox_archive'::regclass ORDER BY 1"
    )
    last_kept = _partition(today - timedelta(days=ARCHIVE_DAYS))
    carried = dropped = 0
    for (name,) in names:
        if name < last_kept:
            async with connection.transaction():
                carried += await _carry_over(connection, name)
                await connection.execute(f"DROP TABLE {name}")
            dropped += 1
    return carried, dropped


async def _carry_over(connection: Connection, partition: str) -> int:
    done: str = await connection.execute(
        f"""
        INSERT INTO outbox_archive (id, topic, {EVENT})
        SELECT id, topic, {EVENT} FROM {partition}
        WHERE application_id IN (SELECT id FROM applications WHERE status = 'PENDING')
        """
    )
    return int(done.rpartition(" ")[2])


async def _prune(connection: Connection, table: str, condition: str) -> int:
    pruned = 0
    while True:
        done: str = await connection.execute(
            f"DELETE FROM {table} "
            f"WHERE ctid = ANY (ARRAY (SELECT ctid FROM {table} WHERE {condition} LIMIT {PRUNE_ROWS}))"
        )
        rows = int(done.rpartition(" ")[2])
        pruned += rows
        if rows < PRUNE_ROWS:
            return pruned


def _partition(day: date) -> str:
    return f"outbox_archive_{day:%Y%m%d}"
