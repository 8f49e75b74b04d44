"""SQL of the list of applications.

Invariant: a page looks at `LOOKED_AT_MAX` applications at most, from a key on, whatever its filters leave of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final
from uuid import UUID

from prequal.postgres.connections import Connection

LOOKED_AT_MAX: Final = 2_000
SHOWN_MAX: Final = 50
LAST: Final = UUID(int=2**128 - 1)


@dataclass(frozen=True, slots=True)
class Listed:
    """An application as the list shows it."""

    id: UUID
    created_at: datetime
    status: str
    loan_type: str
    loan_amount_inr: Decimal
    cibil_score: int | None
    pan_number_masked: str
    client: str


@dataclass(frozen=True, slots=True)
class Listing:
    """A page of the list; from `older` on there is more, unless it is None."""

    applications: Sequence[Listed]
    looked_at: int
    older: UUID | None


NO_SCORE: Final = (0, 0)
"""The band of those who were decided without a score."""


async def before(
    connection: Connection, key: UUID, status: str, client: str, tail: str, scores: tuple[int, int] | None = None
) -> Listing:
    """The newest before a key; of these, where given: status, client, end of the masked PAN, band of scores."""
    looked_at_max = LOOKED_AT_MAX if status or client or tail or scores else SHOWN_MAX
    rows = await connection.fetch(
        """
        WITH looked_at AS MATERIALIZED (
            SELECT id, created_at, status, loan_type, loan_amount_inr, cibil_score, pan_number_masked, client
            FROM applications WHERE id < $1 ORDER BY id DESC LIMIT $2
        )
        SELECT (SELECT count(*) FROM looked_at), (SELECT id FROM looked_at ORDER BY id LIMIT 1),
               found.id, found.created_at, found.status, found.loan_type, found.loan_amount_inr, found.cibil_score,
               found.pan_number_masked, found.client
        FROM (SELECT) AS always
        LEFT JOIN (
            SELECT id, created_at, status, loan_type, loan_amount_inr, cibil_score, pan_number_masked, client
            FROM looked_at
            WHERE ($4 = '' OR status = $4) AND ($5 = '' OR client = $5)
              AND ($6 = '' OR starts_with(reverse(pan_number_masked), reverse($6)))
              AND ($7::int IS NULL OR cibil_score BETWEEN $7 AND $8
                   OR ($8 = 0 AND cibil_score IS NULL AND status <> 'PENDING'))
            ORDER BY id DESC LIMIT $3
        ) AS found ON true
        """,
        key,
        looked_at_max,
        SHOWN_MAX,
        status,
        client,
        tail,
        *(scores or (None, None)),
    )
    looked_at, oldest = rows[0][0], rows[0][1]
    found = [Listed(*row[2:]) for row in rows if row[2] is not None]
    is_full = len(found) == SHOWN_MAX
    older = found[-1].id if is_full else oldest if looked_at == looked_at_max else None
    return Listing(found, looked_at, older)


async def exists(connection: Connection, application_id: UUID) -> bool:
    """Whether there is an application of this id."""
    return await connection.fetchval("SELECT 1 FROM applications WHERE id = $1", application_id) is not None
