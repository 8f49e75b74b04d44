"""The SQL of the workbench: what became of dead letters, and which archived events are meant.

Invariant: what was done to a letter is added, never changed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import asyncpg

from prequal.core.errors import Transient
from prequal.ops.dead_letter import DeadLetterId, State, StoredDeadLetter
from prequal.ops.selection import Period
from prequal.postgres.connections import Connection

RESOLVING_LOCK = 0x646C7173  # "dlqs"
TURN_SECONDS = 30.0

SELECTED = """
    SELECT event_id, application_id FROM (
        -- told once, however often it was archived
        SELECT DISTINCT ON (event_id) id, event_id, application_id FROM outbox_archive
        WHERE published_at >= coalesce($1::timestamptz, '-infinity')
          AND published_at < coalesce($2::timestamptz, 'infinity')
          AND ($3::uuid[] IS NULL OR application_id = ANY ($3))
          AND ($4::text IS NULL OR topic = $4)
        ORDER BY event_id, id
    ) AS told
    WHERE NOT EXISTS (SELECT FROM outbox_events AS waiting WHERE waiting.event_id = told.event_id)
      AND NOT EXISTS (SELECT FROM outbox_parked AS parked WHERE parked.event_id = told.event_id)
    ORDER BY id
    LIMIT $5::bigint
"""
"""SQL: the archived events that a `EventSelection` means, the oldest first; what still waits to be told is left out."""


@dataclass(frozen=True, slots=True)
class EventSelection:
    """DeadLetterSelection archived events are meant: all of them where nothing is said."""

    told: Period = field(default_factory=Period)
    application_ids: Sequence[UUID] | None = None
    topic: str | None = None
    limit: int | None = None

    @property
    def values(self) -> tuple[object, ...]:
        """The parameters of `SELECTED`."""
        return self.told.since, self.told.until, self.application_ids, self.topic, self.limit


async def now(connection: Connection) -> datetime:
    """The database's time."""
    moment: datetime = await connection.fetchval("SELECT clock_timestamp()")
    return moment


async def take_turn(connection: Connection) -> None:
    """Wait until nobody else settles letters; the turn lasts as long as the connection.

    Raises:
        Transient: the other one is not done within the connection's `lock_timeout`.
    """
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", RESOLVING_LOCK)
    except asyncpg.LockNotAvailableError:
        raise Transient("Another `prequal dlq` is at work; try again when it is done.") from None


async def read_states(connection: Connection) -> dict[tuple[DeadLetterId, datetime], State]:
    """What became of every letter that was settled, by its place and the time it was written."""
    rows = await connection.fetch(
        """
        SELECT DISTINCT ON (topic, partition, "offset", written_at) topic, partition, "offset", written_at, action
        FROM resolved_dead_letters
        ORDER BY topic, partition, "offset", written_at, id DESC
        """
    )
    return {(DeadLetterId(*row[:3]), row[3]): State(row[4]) for row in rows}


async def record(
    connection: Connection, action: State, letters: Sequence[StoredDeadLetter], reason: str | None, resolved_by: str
) -> None:
    """Record what was done to these letters, by whom and why."""
    await connection.execute(
        """
        INSERT INTO resolved_dead_letters (
            topic, partition, "offset", written_at, event_id, error_kind, action, reason, resolved_by
        )
        SELECT letter.*, $7, $8, $9
        FROM unnest($1::text[], $2::integer[], $3::bigint[], $4::timestamptz[], $5::text[], $6::text[]) AS letter
        """,
        [letter.id.topic for letter in letters],
        [letter.id.partition for letter in letters],
        [letter.id.offset for letter in letters],
        [letter.written_at for letter in letters],
        [letter.event_id and str(letter.event_id) for letter in letters],
        [letter.kind for letter in letters],
        action.value,
        reason,
        resolved_by,
    )


async def unknown_applications(connection: Connection, application_ids: Sequence[UUID]) -> list[UUID]:
    """Those of the ids that no application has."""
    rows = await connection.fetch(
        """
        SELECT id FROM unnest($1::uuid[]) AS wanted (id)
        WHERE NOT EXISTS (SELECT FROM applications WHERE applications.id = wanted.id)
        """,
        application_ids,
    )
    return [row[0] for row in rows]


async def count_selected(connection: Connection, choice: EventSelection) -> int:
    """How many events `choice` means."""
    count: int = await connection.fetchval(f"SELECT count(*) FROM ({SELECTED}) AS chosen", *choice.values)
    return count


async def choose(connection: Connection, choice: EventSelection) -> None:
    """Note which events `choice` means now, in the server, for `next_selected`; no transaction is left open."""
    await connection.fetch(f"DECLARE chosen NO SCROLL CURSOR WITH HOLD FOR {SELECTED}", *choice.values)


async def next_selected(connection: Connection, limit: int) -> list[tuple[UUID, UUID]]:
    """The next events and their applications; none at the end."""
    rows = await connection.fetch(f"FETCH {limit} FROM chosen")
    return [(row[0], row[1]) for row in rows]
