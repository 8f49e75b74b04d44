"""SQL of dead letters' resolutions and of the selection of archived events.

Invariant: a resolution is inserted, never updated.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import asyncpg

from prequal.core.errors import Transient
from prequal.ops.stored_dead_letter import DeadLetterId, DeadLetterState, StoredDeadLetter
from prequal.postgres.connections import Connection

RESOLVING_LOCK = 0x646C7173  # "dlqs"
LOCK_SECONDS = 30.0

SELECTED = """
    SELECT event_id, application_id FROM (
        -- one row an event, however often it was archived
        SELECT DISTINCT ON (event_id) id, event_id, application_id FROM outbox_archive
        WHERE published_at >= coalesce($1::timestamptz, '-infinity')
          AND published_at < coalesce($2::timestamptz, 'infinity')
          AND ($3::uuid[] IS NULL OR application_id = ANY ($3))
          AND ($4::text IS NULL OR topic = $4)
        ORDER BY event_id, id
    ) AS archived
    WHERE NOT EXISTS (SELECT FROM outbox_events AS waiting WHERE waiting.event_id = archived.event_id)
      AND NOT EXISTS (SELECT FROM outbox_parked AS parked WHERE parked.event_id = archived.event_id)
    ORDER BY id
    LIMIT $5::bigint
"""
"""SQL: archived events, the oldest first, without those that wait in the outbox anyway.

Its parameters: first published since, and before; of these applications; on this topic; at most so many. Each is NULL
for all.
"""


async def lock_resolutions(connection: Connection) -> None:
    """Wait until no other command resolves dead letters; the lock is held until the connection closes.

    Raises:
        Transient: the other command is not done within the connection's `lock_timeout`.
    """
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", RESOLVING_LOCK)
    except asyncpg.LockNotAvailableError:
        raise Transient("Another `prequal dlq` is at work; try again when it is done.") from None


async def read_states(connection: Connection) -> dict[tuple[DeadLetterId, datetime], DeadLetterState]:
    """The latest state of every resolved dead letter, by its id and the time it was written."""
    rows = await connection.fetch(
        """
        SELECT DISTINCT ON (topic, partition, "offset", written_at) topic, partition, "offset", written_at, action
        FROM resolved_dead_letters
        WHERE action <> 'skipped'
        ORDER BY topic, partition, "offset", written_at, id DESC
        """
    )
    return {(DeadLetterId(*row[:3]), row[3]): DeadLetterState(row[4]) for row in rows}


async def resolution_of(connection: Connection, id_: DeadLetterId, written_at: datetime) -> asyncpg.Record | None:
    """How, by whom, when and why one dead letter was last resolved."""
    return await connection.fetchrow(
        """
        SELECT action, resolved_by, resolved_at, reason FROM resolved_dead_letters
        WHERE topic = $1 AND partition = $2 AND "offset" = $3 AND written_at = $4 AND action <> 'skipped'
        ORDER BY id DESC LIMIT 1
        """,
        id_.topic,
        id_.partition,
        id_.offset,
        written_at,
    )


async def record(
    connection: Connection,
    action: DeadLetterState,
    dead_letters: Sequence[StoredDeadLetter],
    reason: str | None,
    resolved_by: str,
) -> None:
    """Record what was done to these dead letters, by whom and why."""
    await connection.execute(
        """
        INSERT INTO resolved_dead_letters (
            topic, partition, "offset", written_at, event_id, error_kind, action, reason, resolved_by
        )
        SELECT dead_letter.*, $7, $8, $9
        FROM unnest($1::text[], $2::integer[], $3::bigint[], $4::timestamptz[], $5::text[], $6::text[]) AS dead_letter
        """,
        [each.id.topic for each in dead_letters],
        [each.id.partition for each in dead_letters],
        [each.id.offset for each in dead_letters],
        [each.written_at for each in dead_letters],
        [each.event_id and str(each.event_id) for each in dead_letters],
        [each.kind for each in dead_letters],
        action.value,
        reason,
        resolved_by,
    )


async def record_skip(
    connection: Connection, topic: str, partition: int, offset: int, reason: str, skipped_by: str
) -> None:
    """Record that the message at this place of a source topic is skipped, by whom and why."""
    await connection.execute(
        """
        INSERT INTO resolved_dead_letters (
            topic, partition, "offset", written_at, error_kind, action, reason, resolved_by
        ) VALUES ($1, $2, $3, now(), 'skipped', 'skipped', $4, $5)
        """,
        topic,
        partition,
        offset,
        reason,
        skipped_by,
    )


async def unknown_applications(connection: Connection, application_ids: Sequence[UUID]) -> list[UUID]:
    """Those of the ids that belong to no application."""
    rows = await connection.fetch(
        """
        SELECT id FROM unnest($1::uuid[]) AS requested (id)
        WHERE NOT EXISTS (SELECT FROM applications WHERE applications.id = requested.id)
        """,
        application_ids,
    )
    return [row[0] for row in rows]


async def count_selected(connection: Connection, parameters: Sequence[object]) -> int:
    """How many events are selected."""
    count: int = await connection.fetchval(f"SELECT count(*) FROM ({SELECTED}) AS selected", *parameters)
    return count


async def open_selection(connection: Connection, parameters: Sequence[object]) -> None:
    """Materialise the selection in the server, for `next_selected`; no transaction is left open."""
    await connection.fetch(f"DECLARE selected NO SCROLL CURSOR WITH HOLD FOR {SELECTED}", *parameters)


async def next_selected(connection: Connection, limit: int) -> list[tuple[UUID, UUID]]:
    """The ids of the next events and of their applications; empty at the end."""
    rows = await connection.fetch(f"FETCH {limit} FROM selected")
    return [(row[0], row[1]) for row in rows]
