"""The SQL of the publisher: leases, rows of the outbox, what is due for republishing, and the server's own statistics.

What reads and moves rows of the outbox for others too is in `messaging.outbox`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from prequal.core.settings import LEASE_SECONDS_MAX
from prequal.messaging.outbox import EVENT, ROW, OutboxRow
from prequal.postgres.connections import Connection
from prequal.postgres.undecided import UNDECIDED_FOR_SECONDS

UNPUBLISHED_SECONDS = 1.0
"""An event of this age is published by the publisher, where writers publish their own. Some times as long as its writer
takes to publish and archive it, so that nothing is published twice but after a stall."""
FIRST_PAUSE_SECONDS, LAST_PAUSE_SECONDS = 30, 3600
"""An application is republished after 30 s, and again after 30, 60, 120 … at most 3,600 s."""
PARKED_SECONDS_MAX = 60
"""A parked event is tried again after 1, 2, 4 … at most so many seconds."""

# After a failover the clock may be behind that of the server before. A time that is further ahead than any can be set,
# or that is to come where it says what was, is that server's: nothing waits until the new one's clock has come there.
_IS_HELD = f"""
    lease.expires_at > clock_timestamp()
    AND lease.expires_at <= clock_timestamp() + interval '{LEASE_SECONDS_MAX} seconds'
"""
"""SQL: whether somebody has a `lease`."""

_LEFT = "(created_at < clock_timestamp() - make_interval(secs => {seconds}) OR created_at > clock_timestamp())"
"""SQL: whether a row has no writer any more that would publish it."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to publish one topic's events, until another publisher finds it expired."""

    name: str
    owner: UUID
    epoch: int


@dataclass(frozen=True, slots=True)
class Server:
    """What the server says of itself and of this database."""

    connections: int
    connections_max: int
    oldest_transaction_seconds: float
    size_bytes: int
    deadlocks: int


async def take_lease(connection: Connection, name: str, owner: UUID, seconds: float) -> Lease | None:
    """Take or renew a lease; None while another publisher has it."""
    epoch = await connection.fetchval(
        f"""
        INSERT INTO publisher_leases AS lease (name, owner, epoch, expires_at)
        SELECT $1, $2, 1, clock_timestamp() + make_interval(secs => $3)
        -- Looked for first: an upsert that updates nothing takes a transaction id, a row lock and WAL all the same, and
        -- a standby publisher asks all day.
        WHERE NOT EXISTS (
            SELECT FROM publisher_leases AS lease WHERE name = $1 AND owner <> $2 AND {_IS_HELD}
        )
        ON CONFLICT (name) DO UPDATE
        SET owner = EXCLUDED.owner,
            epoch = lease.epoch + (lease.owner <> EXCLUDED.owner)::integer,
            expires_at = EXCLUDED.expires_at
        WHERE lease.owner = EXCLUDED.owner OR NOT ({_IS_HELD})
        RETURNING epoch
        """,
        name,
        owner,
        seconds,
    )
    return None if epoch is None else Lease(name, owner, epoch)


async def release_lease(connection: Connection, lease: Lease) -> None:
    """Let another publisher take the lease at once."""
    await connection.execute(
        "UPDATE publisher_leases SET expires_at = clock_timestamp() WHERE name = $1 AND owner = $2 AND epoch = $3",
        lease.name,
        lease.owner,
        lease.epoch,
    )


async def topics_with_unpublished(
    connection: Connection, topics: Sequence[str], left_seconds: float = UNPUBLISHED_SECONDS
) -> list[str]:
    """Which of these topics have rows that their writers have not published, in flight or not."""
    rows = await connection.fetch(
        f"""
        SELECT topic FROM unnest($1::text[]) AS listed (topic)
        WHERE EXISTS (SELECT FROM outbox_events WHERE topic = listed.topic AND {_LEFT.format(seconds="$2")})
        """,
        topics,
        left_seconds,
    )
    return [row[0] for row in rows]


async def read_unpublished(
    connection: Connection,
    lease: Lease,
    in_flight: Sequence[int],
    limit: int,
    left_seconds: float = UNPUBLISHED_SECONDS,
) -> list[OutboxRow]:
    """The oldest rows of the lease's topic that their writers have not published; none when the lease is lost.

    A writer that publishes has published and archived a row within `left_seconds`; those `in_flight` are left out. What
    is older than that, or was written under a clock that was ahead of this one, has no writer any more.

    A row is unpublished as long as it is there. There is no cursor over ids: a transaction with a lower id may commit
    later.
    """
    rows = await connection.fetch(
        f"""
        SELECT {ROW}
        FROM outbox_events
        WHERE topic = $1
          AND id <> ALL ($4::bigint[])
          AND {_LEFT.format(seconds="$6")}
          AND (
              SELECT {_IS_HELD} FROM publisher_leases AS lease
              WHERE name = $1 AND owner = $2 AND epoch = $3
          )
        ORDER BY id
        LIMIT $5
        """,
        lease.name,
        lease.owner,
        lease.epoch,
        in_flight,
        limit,
        left_seconds,
    )
    return [*map(OutboxRow._make, rows)]


async def park(
    connection: Connection,
    topic: str,
    refused: Sequence[tuple[int, str]],
    longest_seconds: float = PARKED_SECONDS_MAX,
) -> None:
    """Park rows that the broker refused, with its reason; each is retried after 1, 2, 4 … `longest_seconds`.

    A row that is named twice is parked once.
    """
    await connection.execute(
        f"""
        WITH refused AS (
            SELECT DISTINCT ON (id) id, reason FROM unnest($2::bigint[], $3::text[]) AS refused (id, reason)
        ), moved AS (
            DELETE FROM outbox_events WHERE topic = $1 AND id = ANY ($2)
            RETURNING id, topic, attempts, {EVENT}, republished
        )
        INSERT INTO outbox_parked (id, topic, attempts, {EVENT}, republished, reason, next_try_at)
        SELECT id, topic, attempts + 1, {EVENT}, republished, reason,
               now() + make_interval(secs => least($4, 2 ^ least(attempts, 6)))
        FROM moved JOIN refused USING (id)
        """,
        topic,
        [id_ for id_, _ in refused],
        [reason for _, reason in refused],
        float(longest_seconds),
    )


async def restore_due(connection: Connection, topic: str, limit: int) -> int:
    """Put parked rows that are due back into the outbox, behind their topic's others; returns how many."""
    done: str = await connection.execute(
        f"""
        WITH due AS (
            DELETE FROM outbox_parked
            WHERE id = ANY (ARRAY (
                SELECT id FROM outbox_parked
                WHERE topic = $1 AND next_try_at <= now()
                ORDER BY next_try_at
                LIMIT $2
                FOR UPDATE SKIP LOCKED
            ) || ARRAY (
                SELECT id FROM outbox_parked
                WHERE topic = $1 AND next_try_at > now() + interval '{PARKED_SECONDS_MAX} seconds'
                ORDER BY next_try_at
                LIMIT $2
                FOR UPDATE SKIP LOCKED
            ))
            RETURNING topic, attempts, {EVENT}, republished
        )
        INSERT INTO outbox_events (topic, attempts, {EVENT}, republished)
        SELECT topic, attempts, {EVENT}, republished FROM due
        """,
        topic,
        limit,
    )
    return int(done.rpartition(" ")[2])


async def due_for_republishing(connection: Connection, after_seconds: float, limit: int) -> list[UUID]:
    """Applications undecided for longer than `after_seconds` whose next republication is due, oldest first."""
    rows = await connection.fetch(
        f"""
        SELECT id FROM {UNDECIDED_FOR_SECONDS} AS undecided
        WHERE coalesce(
            (SELECT next_at <= now() OR last_at > now() FROM republications WHERE application_id = id), true
        )
        ORDER BY created_at
        LIMIT $2
        """,
        after_seconds,
        limit,
    )
    return [row[0] for row in rows]


async def record_republication(connection: Connection, application_ids: Sequence[UUID]) -> None:
    """Count a republication of each application, and make the next one due after twice the last pause."""
    await connection.execute(
        """
        INSERT INTO republications AS known (application_id, times, next_at)
        SELECT application_id, 1, now() + make_interval(secs => $2)
        FROM unnest($1::uuid[]) AS republished (application_id) ORDER BY application_id
        ON CONFLICT (application_id) DO UPDATE
        SET times = known.times + 1,
            last_at = now(),
            next_at = now() + make_interval(secs => least($3, $2 * 2 ^ least(known.times, 20)))
        """,
        application_ids,
        float(FIRST_PAUSE_SECONDS),
        float(LAST_PAUSE_SECONDS),
    )


async def server(connection: Connection) -> Server:
    """The server's statistics; of other roles' transactions only members of pg_read_all_stats see the age."""
    row = await connection.fetchrow(
        """
        SELECT
            count(*),
            current_setting('max_connections')::integer,
            coalesce(max(extract(epoch FROM clock_timestamp() - xact_start))
                     FILTER (WHERE datname = current_database()), 0)::float8,
            pg_database_size(current_database()),
            (SELECT deadlocks FROM pg_stat_database WHERE datname = current_database())
        FROM pg_stat_activity
        WHERE backend_type = 'client backend'
        """
    )
    assert row is not None
    return Server(*row)


async def archive_days_ahead(connection: Connection) -> int:
    """The number of days after today (UTC) for which the archive has partitions."""
    days: int = await connection.fetchval(
        """
        SELECT count(*) FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
        WHERE inhparent = 'outbox_archive'::regclass
          AND relname > 'outbox_archive_' || to_char(now() AT TIME ZONE 'UTC', 'YYYYMMDD')
        """
    )
    return days


async def transactions(connection: Connection) -> Mapping[tuple[str, ...], float]:
    """The transactions of this database that have ended, by outcome."""
    row = await connection.fetchrow(
        "SELECT xact_commit, xact_rollback FROM pg_stat_database WHERE datname = current_database()"
    )
    assert row is not None
    return {("committed",): row[0], ("rolled_back",): row[1]}
