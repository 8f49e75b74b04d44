"""The undecided applications: from a mark on, along the primary key, and in a list of those that it passed.

An index that names `status` would find them too, and bar every decision from being a heap-only update.

Invariant: an undecided application has an id from `undecided_mark` on, or is listed in `undecided_below_mark`. Ids are
in the order of time (UUIDv7), but of the clock of the process that made them: one whose clock is behind lists its own.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from prequal.postgres.connections import Connection

BEHIND_SECONDS: Final = 14
"""How far the mark stays behind the database's clock."""
LISTED_AFTER_SECONDS: Final = 5
"""An id that is older than this when it is written is listed. The difference to `BEHIND_SECONDS` is more than a
transaction may take from its beginning to its first write (`SESSION`'s bounds); one that writes is waited for."""
STANDS_AFTER_SECONDS: Final = 60
"""A mark that is so far behind the clock is moved by nobody: the publisher moves it every few seconds."""
OVERDUE_SECONDS: Final = 2.0
"""The second service level's bound for a decision."""
PASSED_MAX: Final = 50_000
FORGOTTEN_MAX: Final = 10_000


def first_id(ago: str) -> str:
    """SQL: the least UUIDv7 (RFC 9562, 5.7) of the millisecond that lies an interval before the transaction."""
    return f"(lpad(to_hex(floor(extract(epoch FROM now() - {ago}) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid"


def seconds(number: int) -> str:
    """SQL: an interval."""
    return f"interval '{number} seconds'"


_BELOW: Final = """
    SELECT application.id, application.created_at
    FROM undecided_below_mark
    CROSS JOIN LATERAL (
        SELECT id, created_at, status FROM applications WHERE id = application_id LIMIT 1
    ) AS application
    WHERE application.status = 'PENDING' AND application_id < (SELECT passed FROM undecided_mark WHERE present)
"""
_BEYOND: Final = """
    SELECT id, created_at FROM applications
    WHERE id >= (SELECT passed FROM undecided_mark WHERE present) AND status = 'PENDING'
"""

UNDECIDED: Final = f"({_BELOW} UNION ALL {_BEYOND})"
"""SQL: `id` and `created_at` of each, those below the mark first; it reads what came within some twenty seconds."""

UNDECIDED_FOR_SECONDS: Final = f"""(
    {_BELOW} AND created_at < now() - make_interval(secs => $1)
    UNION ALL
    {_BEYOND} AND id < (SELECT {first_id("make_interval(secs => $1)")})
)"""
"""SQL: the same of those that came longer ago than the first parameter says; with an id that is ahead of its time, when
the mark has passed it."""

LIST_OLD_IDS: Final = f"""
    INSERT INTO undecided_below_mark (application_id)
    SELECT id FROM accepted
    WHERE id < (SELECT {first_id(seconds(LISTED_AFTER_SECONDS))})
       OR id < (SELECT passed FROM undecided_mark WHERE present)
"""
"""SQL: list those of the rows `accepted` that the mark has passed, or soon will."""


@dataclass(frozen=True, slots=True)
class UndecidedBacklog:
    """How many applications wait for a decision, how many of them are overdue, and for how long the oldest waits."""

    applications: int
    overdue: int
    oldest: timedelta | None


async def waiting(connection: Connection, counted_max: int) -> UndecidedBacklog:
    """What waits for a decision, counted up to `counted_max`."""
    row = await connection.fetchrow(
        f"""
        SELECT count(*),
               count(*) FILTER (WHERE created_at < now() - make_interval(secs => $1)),
               clock_timestamp() - min(created_at)
        FROM (SELECT created_at FROM {UNDECIDED} AS undecided LIMIT $2) AS counted
        """,
        OVERDUE_SECONDS,
        counted_max,
    )
    assert row is not None
    return UndecidedBacklog(*row)


class MarkMover:
    """Moves the mark, a step a round; several may at once, and each finds the mark where the last one left it."""

    def __init__(self) -> None:
        self._proposed: tuple[int, UUID] | None = None

    async def move(self, connection: Connection) -> None:
        """Move the mark to where it could be a round ago, once all that wrote then has ended."""
        await forget_decided(connection)
        oldest, following, there = await candidate(connection)
        if self._proposed is not None:
            needed, to = self._proposed
            if oldest < needed or not await move_mark(connection, to):
                return
        self._proposed = following, there


async def stands_still(connection: Connection) -> bool:
    """Whether nobody moves the mark, so that who looks for the undecided reads ever more."""
    stands: bool = await connection.fetchval(
        f"SELECT passed < {first_id(seconds(STANDS_AFTER_SECONDS))} FROM undecided_mark WHERE present"
    )
    return stands


async def candidate(connection: Connection) -> tuple[int, int, UUID]:
    """The oldest transaction that writes, the next one to come, and an id.

    The mark may move to that id when every transaction before that next one has ended.
    """
    row = await connection.fetchrow(
        f"""
        SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint,
               pg_snapshot_xmax(pg_current_snapshot())::text::bigint,
               {first_id(seconds(BEHIND_SECONDS))}
        """
    )
    assert row is not None
    return row[0], row[1], row[2]


async def move_mark(connection: Connection, to: UUID) -> bool:
    """List what is undecided from the mark up to `to`, and move the mark there; never back.

    Returns whether it came that far: it passes `PASSED_MAX` applications at most.
    """
    passed: int = await connection.fetchval(
        """
        WITH passing AS MATERIALIZED (
            SELECT id, status FROM applications
            WHERE id >= (SELECT passed FROM undecided_mark WHERE present) AND id < $1 ORDER BY id LIMIT $2
        ), listed AS (
            INSERT INTO undecided_below_mark (application_id)
            SELECT id FROM passing WHERE status = 'PENDING' ORDER BY id
            ON CONFLICT DO NOTHING
        ), moved AS (
            UPDATE undecided_mark
            -- Another may have moved it since `passing` was read.
            SET passed = greatest(passed, CASE
                WHEN (SELECT count(*) FROM passing) < $2 THEN $1
                ELSE (SELECT id FROM passing ORDER BY id DESC LIMIT 1)
            END)
            WHERE present AND passed < $1
        )
        SELECT count(*) FROM passing
        """,
        to,
        PASSED_MAX,
    )
    return passed < PASSED_MAX


async def forget_decided(connection: Connection) -> None:
    """Take from the list what is decided by now, `FORGOTTEN_MAX` at most."""
    await connection.execute(
        """
        DELETE FROM undecided_below_mark WHERE application_id = ANY (ARRAY (
            SELECT application_id FROM undecided_below_mark AS listed
            WHERE NOT EXISTS (SELECT FROM applications WHERE id = listed.application_id AND status = 'PENDING')
            LIMIT $1
        ))
        """,
        FORGOTTEN_MAX,
    )
