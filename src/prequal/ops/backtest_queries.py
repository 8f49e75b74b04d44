"""SQL of a backtest: the stored applications, as one moment has them.

Invariant: it only reads, and reads nothing of a PAN.
"""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Final, TypeAlias, cast
from uuid import UUID

from prequal.postgres.connections import Connection

StoredApplication: TypeAlias = tuple[UUID, str, int | None, int, int, str, str, str]
"""Id, status, score, monthly income and amount in paise, loan type; reason and policy version, absent while pending."""


_COLUMNS = """
    id, CASE WHEN version > 2 THEN 'MANUAL_REVIEW' ELSE status END, cibil_score,
    (monthly_income_inr * 100)::bigint, (loan_amount_inr * 100)::bigint, loan_type, decision_rule, policy_version
"""
LOOKED_AT_MAX: Final = 2_000


async def newest_before(connection: Connection, key: UUID) -> list[StoredApplication]:
    """The newest applications before a key, `LOOKED_AT_MAX` at most."""
    rows = await connection.fetch(
        f"SELECT {_COLUMNS} FROM applications WHERE id < $1 ORDER BY id DESC LIMIT $2", key, LOOKED_AT_MAX
    )
    return cast("list[StoredApplication]", rows)


async def stored_applications(
    connection: Connection, since: datetime | None, until: datetime | None, at_once: int
) -> AsyncIterator[Sequence[StoredApplication]]:
    """The applications of a period, in the order of their ids, in batches, from one snapshot by a cursor.

    The status is the policy's own: what people decided afterwards, at version 3, no policy would have.
    """
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        cursor = await connection.cursor(
            f"""
            SELECT {_COLUMNS}
            FROM applications
            WHERE created_at >= coalesce($1::timestamptz, '-infinity')
              AND created_at < coalesce($2::timestamptz, 'infinity')
            ORDER BY id
            """,
            since,
            until,
        )
        while rows := await cursor.fetch(at_once):
            yield cast("Sequence[StoredApplication]", rows)


async def estimated_applications(connection: Connection) -> int:
    """About how many applications there are, by what the planner knows; 0 when it knows nothing yet."""
    found: int = await connection.fetchval(
        "SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = 'applications'::regclass"
    )
    return found
