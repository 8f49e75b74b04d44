"""The outbox in SQL: what is written beside an effect, read under a lease, and settled when it was told.

Neighbours: `api` and `credit` add events inside their own statements; `kernel.publisher` does the rest.
Invariant: an event leaves `outbox_events` only for the archive (told) or the parked rows (refused).

    outbox_events ──acknowledged──► outbox_archive ──retold──► outbox_events ──acknowledged──► gone
         │  ▲
      refused │ due
         ▼  │
    outbox_parked
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from prequal.kernel.db import Connection

EVENT = "event_id, event_type, application_id, payload, correlation_id, traceparent, created_at"
RETELLING_LOCK = 0x7265746C  # "retl"

NOW_TEXT = """to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""
"""SQL: the transaction's time as the events spell it."""


def close_body(body: str, time_field: str) -> str:
    """SQL that closes the open JSON object in the expression `body` with the transaction's time."""
    return f"""{body} || ',"{time_field}":"' || {NOW_TEXT} || '"}}'"""


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """An event that is still to be told."""

    id: int
    topic: str
    event_id: UUID
    event_type: str
    application_id: UUID
    payload: str
    correlation_id: str | None
    traceparent: str | None


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to tell one lane's events, until another publisher finds it expired."""

    lane: str
    owner: UUID
    epoch: int


async def take_lease(connection: Connection, lane: str, owner: UUID, seconds: float) -> Lease | None:
    """Take or renew a lane's lease; None while another publisher holds it."""
    epoch = await connection.fetchval(
        """
        INSERT INTO publisher_leases AS lease (lane, owner, epoch, expires_at)
        VALUES ($1, $2, 1, clock_timestamp() + make_interval(secs => $3))
        ON CONFLICT (lane) DO UPDATE
        SET owner = EXCLUDED.owner,
            epoch = lease.epoch + (lease.owner <> EXCLUDED.owner)::integer,
            expires_at = EXCLUDED.expires_at
        WHERE lease.owner = EXCLUDED.owner OR lease.expires_at <= clock_timestamp()
        RETURNING epoch
        """,
        lane,
        owner,
        seconds,
    )
    return None if epoch is None else Lease(lane, owner, epoch)


async def give_up_lease(connection: Connection, lease: Lease) -> None:
    """Let another publisher take the lane at once."""
    await connection.execute(
        "UPDATE publisher_leases SET expires_at = clock_timestamp() WHERE lane = $1 AND owner = $2 AND epoch = $3",
        lease.lane,
        lease.owner,
        lease.epoch,
    )


async def read_untold(connection: Connection, lease: Lease, in_flight: Sequence[int], limit: int) -> list[OutboxRow]:
    """The oldest events of the lease's lane that are not in flight; none when the lease is lost.

    What counts is the row being there, never a cursor over ids: a transaction with a lower id may commit later.
    """
    rows = await connection.fetch(
        """
        SELECT id, topic, event_id, event_type, application_id, payload, correlation_id, traceparent
        FROM outbox_events
        WHERE topic = $1
          AND id <> ALL ($4::bigint[])
          AND (
              SELECT expires_at > clock_timestamp() FROM publisher_leases
              WHERE lane = $1 AND owner = $2 AND epoch = $3
          )
        ORDER BY id
        LIMIT $5
        """,
        lease.lane,
        lease.owner,
        lease.epoch,
        in_flight,
        limit,
    )
    return [OutboxRow(*row) for row in rows]


async def settle_told(connection: Connection, lane: str, ids: Sequence[int]) -> int:
    """Move what the broker acknowledged to the archive; returns how many moved. Settling twice archives once.

    Retold rows just go: the archive has their events already.
    """
    done: str = await connection.execute(
        f"""
        WITH told AS (
            DELETE FROM outbox_events WHERE topic = $1 AND id = ANY ($2::bigint[])
            RETURNING id, topic, {EVENT}, retold
        )
        INSERT INTO outbox_archive (id, topic, {EVENT})
        SELECT id, topic, {EVENT} FROM told
        WHERE NOT retold
        """,
        lane,
        ids,
    )
    return int(done.rpartition(" ")[2])


async def park(
    connection: Connection, lane: str, refused: Sequence[tuple[int, str]], longest_seconds: float = 60
) -> None:
    """Move aside what the broker refused, with its reason; the next try comes after 1, 2, 4 … `longest_seconds`.

    Refused twice is parked once.
    """
    await connection.execute(
        f"""
        WITH refused AS (
            SELECT DISTINCT ON (id) id, reason FROM unnest($2::bigint[], $3::text[]) AS refused (id, reason)
        ), moved AS (
            DELETE FROM outbox_events WHERE topic = $1 AND id = ANY ($2)
            RETURNING id, topic, attempts, {EVENT}, retold
        )
        INSERT INTO outbox_parked (id, topic, attempts, {EVENT}, retold, reason, next_try_at)
        SELECT id, topic, attempts + 1, {EVENT}, retold, reason,
               now() + make_interval(secs => least($4, 2 ^ least(attempts, 6)))
        FROM moved JOIN refused USING (id)
        """,
        lane,
        [id_ for id_, _ in refused],
        [reason for _, reason in refused],
        float(longest_seconds),
    )


async def bring_back_due(connection: Connection, lane: str, limit: int) -> int:
    """Give parked events whose time has come another try, at the end of their lane; returns how many."""
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
            ))
            RETURNING topic, attempts, {EVENT}, retold
        )
        INSERT INTO outbox_events (topic, attempts, {EVENT}, retold)
        SELECT topic, attempts, {EVENT}, retold FROM due
        """,
        lane,
        limit,
    )
    return int(done.rpartition(" ")[2])


async def retell(
    connection: Connection, application_ids: Sequence[UUID], event_ids: Sequence[UUID] | None = None
) -> int:
    """Put the archived events of these applications into the outbox once more, in their old order; returns how many.

    Of all their events, or of `event_ids` alone. An event that still waits, in the outbox or parked, is left out, and
    one that was archived several times is told once. Retellings take turns until their transactions end, so that two at
    once make one row an event too. The connection must be in a transaction.
    """
    assert connection.is_in_transaction()
    await connection.execute("SELECT pg_advisory_xact_lock($1)", RETELLING_LOCK)
    done: str = await connection.execute(
        f"""
        WITH archived AS (
            SELECT DISTINCT ON (event_id) id, topic, {EVENT} FROM outbox_archive
            WHERE application_id = ANY ($1::uuid[]) AND ($2::uuid[] IS NULL OR event_id = ANY ($2))
            ORDER BY event_id, id
        )
        INSERT INTO outbox_events (topic, {EVENT}, retold)
        SELECT topic, {EVENT}, true FROM archived
        -- one look at what waits, instead of one for each event
        WHERE event_id <> ALL (ARRAY (
            SELECT event_id FROM outbox_events WHERE application_id = ANY ($1)
            UNION ALL
            SELECT event_id FROM outbox_parked WHERE application_id = ANY ($1)
        ))
        ORDER BY id
        """,
        application_ids,
        event_ids,
    )
    return int(done.rpartition(" ")[2])


async def depth(connection: Connection, lane: str) -> tuple[int, float, int]:
    """How many events wait in a lane (up to 100,000), the oldest one's age in seconds, and how many are parked.

    Retold events are as old as their facts, so their age says nothing of the wait: it is that of the others.
    """
    row = await connection.fetchrow(
        """
        SELECT
            (SELECT count(*) FROM (SELECT FROM outbox_events WHERE topic = $1 LIMIT 100000) AS counted),
            (SELECT coalesce(extract(epoch FROM clock_timestamp() - created_at), 0)::float8
             FROM outbox_events WHERE topic = $1 AND NOT retold ORDER BY id LIMIT 1),
            (SELECT count(*) FROM outbox_parked WHERE topic = $1)
        """,
        lane,
    )
    assert row is not None
    return row[0], max(0.0, row[1] or 0.0), row[2]
