"""SQL of the overview.

Invariant: no statement reads more than `APPLICATIONS_MAX` applications; their ids are in the order of time (UUIDv7).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from prequal.domain.application import first_id
from prequal.messaging import outbox
from prequal.postgres import clock, undecided
from prequal.postgres.connections import Connection
from prequal.review import queries as review

APPLICATIONS_MAX: Final = 10_000
COUNTED_MAX: Final = 10_000


@dataclass(frozen=True, slots=True)
class Group:
    """Applications of one status and loan type, and the time to their decision: half took longer, and one in 100."""

    status: str
    loan_type: str
    applications: int
    requested_inr: Decimal
    median: timedelta | None
    slowest_in_100: timedelta | None


@dataclass(frozen=True, slots=True)
class Backlogs:
    """What waits at this moment; each is counted up to `COUNTED_MAX`."""

    now: datetime
    undecided: int
    oldest_undecided: timedelta | None
    outbox: int
    parked: int
    cases: int
    """Of review."""


async def groups(connection: Connection, since: datetime) -> tuple[list[Group], datetime | None]:
    """The newest applications since then, by status and loan type, and when the oldest of them came."""
    rows = await connection.fetch(
        """
        SELECT status, loan_type, count(*), sum(loan_amount_inr),
               percentile_disc(0.5) WITHIN GROUP (ORDER BY updated_at - created_at) FILTER (WHERE status <> 'PENDING'),
               percentile_disc(0.99) WITHIN GROUP (ORDER BY updated_at - created_at) FILTER (WHERE status <> 'PENDING'),
               min(created_at)
        FROM (
            SELECT status, loan_type, loan_amount_inr, created_at, updated_at FROM applications
            WHERE id >= $1 ORDER BY id DESC LIMIT $2
        ) AS newest
        GROUP BY status, loan_type ORDER BY status, loan_type
        """,
        first_id(since),
        APPLICATIONS_MAX,
    )
    return [Group(*row[:6]) for row in rows], min((row[6] for row in rows), default=None)


async def waiting(connection: Connection) -> Backlogs:
    """How many applications are undecided, for how long; how many events are unpublished or parked, and cases open."""
    applications = await undecided.waiting(connection, COUNTED_MAX)
    events = (await outbox.waiting(connection, COUNTED_MAX)).values()
    return Backlogs(
        now=await clock.now(connection),
        undecided=applications.applications,
        oldest_undecided=applications.oldest,
        outbox=min(sum(each.events for each in events), COUNTED_MAX),
        parked=min(sum(each.parked for each in events), COUNTED_MAX),
        cases=(await review.waiting(connection, COUNTED_MAX)).cases,
    )
