"""The SQL of the API's reads: one application of a client, as it stands and as it was decided.

Invariant: another client's application is not there.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

import asyncpg

from prequal.postgres.connections import Connection


@dataclass(frozen=True, slots=True)
class Reviewed:
    """What people decided of an application, and when the policy had left it to them."""

    outcome: str
    reason: str
    decided_at: datetime
    opened_at: datetime


@dataclass(frozen=True, slots=True)
class CurrentStatus:
    """What a status request is answered with."""

    review: Reviewed | None
    status: str
    cibil_score: int | None
    pan_number_masked: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class StoredDecision:
    """A decision as it is stored, and what it was taken from; of a pending application the decision is absent.

    All but `status`, `updated_at` and `review` is the policy's decision, and stays when people decide.
    """

    review: Reviewed | None
    status: str
    cibil_score: int | None
    monthly_income_inr: Decimal
    loan_amount_inr: Decimal
    loan_type: str
    rule: str | None
    measures: str | None
    policy_version: str | None
    policy_hash: bytes | None
    updated_at: datetime
    report_age_seconds: int | None = None
    """How old the bureau's report was, where a kept one was used again."""


async def current_status(connection: Connection, application_id: UUID, client: str) -> CurrentStatus | None:
    """Where one application of a client stands; None when he has none of this id, though another may."""
    row = await connection.fetchrow(
        f"""
        SELECT {_REVIEWED}, status, cibil_score, pan_number_masked, created_at, updated_at
        FROM applications AS application {_WITH_REVIEW} WHERE id = $1 AND client = $2
        """,
        application_id,
        client,
    )
    return None if row is None else CurrentStatus(_reviewed(row), *row[4:])


async def stored_decision(connection: Connection, application_id: UUID, client: str) -> StoredDecision | None:
    """How one application of a client was decided; None when he has none of this id, though another may."""
    row = await connection.fetchrow(
        f"""
        SELECT {_REVIEWED}, status, cibil_score, monthly_income_inr, loan_amount_inr, loan_type,
               decision_rule, decision_measures, policy_version, policy_hash, updated_at,
               (SELECT age_seconds FROM reused_reports WHERE application_id = id)
        FROM applications AS application {_WITH_REVIEW} WHERE id = $1 AND client = $2
        """,
        application_id,
        client,
    )
    return None if row is None else StoredDecision(_reviewed(row), *row[4:])


async def warm(connection: Connection) -> None:
    """Have both reads planned on a connection: they find nothing."""
    await current_status(connection, _NOBODYS, "")
    await stored_decision(connection, _NOBODYS, "")


_NOBODYS = UUID(int=0)
_REVIEWED = "review.outcome, review.reason, review.decided_at, review.opened_at"
_WITH_REVIEW = """
    LEFT JOIN LATERAL (
        SELECT outcome, reason, decided_at, opened_at FROM review_cases
        WHERE application_id = application.id AND outcome IS NOT NULL LIMIT 1
    ) AS review ON true
"""


def _reviewed(row: asyncpg.Record) -> Reviewed | None:
    return None if row[0] is None else Reviewed(*row[:4])
