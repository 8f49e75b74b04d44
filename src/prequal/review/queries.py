"""The SQL of cases: opened by decision-service, claimed and decided by people.

Invariant: a lease is over when the database's clock says so; a status moves from MANUAL_REVIEW alone, from the version
that was read.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final
from uuid import UUID

import asyncpg

from prequal.domain.application import DECIDED_VERSION
from prequal.domain.events import EventType
from prequal.domain.review import ReviewReason
from prequal.messaging.event_ids import event_id
from prequal.messaging.outbox import append_decided
from prequal.postgres.connections import Connection
from prequal.record.acts import Actor

OPEN_CASES: Final = """
    INSERT INTO review_cases (application_id, loan_amount_inr, target_at, people_needed, decision_published)
    SELECT application_id, loan_amount_inr, now() + make_interval(hours => {hours}::integer),
           CASE WHEN loan_amount_inr > {amount}::numeric THEN 2 ELSE 1 END, {published}
    FROM {decided} WHERE status = 'MANUAL_REVIEW'
    -- a case that is there stays as it is, whatever was done to its application by hand
    ON CONFLICT DO NOTHING
"""
"""SQL: a case for each application that the CTE `decided` moved to MANUAL_REVIEW, in the same statement."""


class CaseState(StrEnum):
    """Where a case stands."""

    OPEN = "OPEN"
    SECOND_PERSON = "SECOND_PERSON"
    """One person has voted or asked for a second look."""
    DECIDED = "DECIDED"


class Order(StrEnum):
    """How the queue is sorted."""

    AGE = "age"
    """The one whose target time comes first."""
    AMOUNT = "amount"
    """The largest first."""


@dataclass(frozen=True, slots=True)
class Case:
    """A case; outcome, reason and time of the decision are there together."""

    application_id: UUID
    opened_at: datetime
    target_at: datetime
    hours_to_target: float
    """From now, or from the decision; negative after the target time."""
    loan_amount_inr: Decimal
    people_needed: int
    state: CaseState
    claimed_by: str | None
    lease_until: datetime | None
    is_claimed: bool
    """Whether the lease still runs."""
    version: int
    outcome: str | None
    reason: str | None
    decided_at: datetime | None


@dataclass(frozen=True, slots=True)
class Subject:
    """What a reviewer sees of the application."""

    status: str
    pan_number_masked: str
    loan_type: str
    monthly_income_inr: Decimal
    cibil_score: int | None
    rule: str
    measures: str
    policy_version: str
    policy_hash: bytes | None
    """None of what was decided by v1 before decisions stored it."""
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Note:
    """A note on a case."""

    written_at: datetime
    writer: str
    note: str


@dataclass(frozen=True, slots=True)
class Vote:
    """One person's decision on a case."""

    voted_at: datetime
    voter: str
    outcome: str
    reason: str


@dataclass(frozen=True, slots=True)
class ReviewBacklog:
    """How many cases wait for people, how many of them are past their target time, and the oldest one's hours to it.

    The hours are negative after that time, and None without a case.
    """

    cases: int
    overdue: int
    hours_to_target: float | None


_CASE = """
    application_id, opened_at, target_at,
    extract(epoch FROM target_at - coalesce(decided_at, clock_timestamp()))::float8 / 3600 AS hours_to_target,
    loan_amount_inr, people_needed, state, claimed_by, lease_until,
    coalesce(lease_until > clock_timestamp(), false) AS is_claimed, version, outcome, reason, decided_at
"""
_REVIEW: Final = "json_build_object('outcome', status, 'reason', $3::text)"
_KEYS: Final = {
    Order.AGE: ("target_at, application_id", ">", "target_at, application_id"),
    Order.AMOUNT: ("loan_amount_inr, application_id", "<", "loan_amount_inr DESC, application_id DESC"),
}


async def queue(connection: Connection, order: Order, limit: int, after: UUID | None) -> list[Case]:
    """The undecided cases in `order`, `limit` at most, behind the one of `after`, which may be decided meanwhile."""
    key, behind, sorting = _KEYS[order]
    page = "" if after is None else f"AND ({key}) {behind} (SELECT {key} FROM review_cases WHERE application_id = $2)"
    rows = await connection.fetch(
        f"SELECT {_CASE} FROM review_cases WHERE outcome IS NULL {page} ORDER BY {sorting} LIMIT $1",
        limit,
        *([] if after is None else [after]),
    )
    return [_case(row) for row in rows]


async def waiting(connection: Connection, counted_max: int) -> ReviewBacklog:
    """What waits for people, counted up to `counted_max`."""
    row = await connection.fetchrow(
        """
        SELECT
            (SELECT count(*) FROM (SELECT FROM review_cases WHERE outcome IS NULL LIMIT $1) AS counted),
            (SELECT count(*) FROM (
                SELECT FROM review_cases WHERE outcome IS NULL AND target_at < now() LIMIT $1
            ) AS counted),
            (SELECT extract(epoch FROM target_at - clock_timestamp())::float8 / 3600
             FROM review_cases WHERE outcome IS NULL ORDER BY target_at LIMIT 1)
        """,
        counted_max,
    )
    assert row is not None
    return ReviewBacklog(*row)


async def case_of(connection: Connection, application_id: UUID) -> Case | None:
    """The case of an application."""
    row = await connection.fetchrow(f"SELECT {_CASE} FROM review_cases WHERE application_id = $1", application_id)
    return None if row is None else _case(row)


async def locked_case(connection: Connection, application_id: UUID) -> Case | None:
    """The case of an application, locked until the transaction ends."""
    row = await connection.fetchrow(
        f"SELECT {_CASE} FROM review_cases WHERE application_id = $1 FOR UPDATE", application_id
    )
    return None if row is None else _case(row)


async def subject_of(connection: Connection, application_id: UUID) -> Subject:
    """What is known of the application, without its name and its PAN."""
    row = await connection.fetchrow(
        """
        SELECT status, pan_number_masked, loan_type, monthly_income_inr, cibil_score, decision_rule, decision_measures,
               policy_version, policy_hash, created_at
        FROM applications WHERE id = $1
        """,
        application_id,
    )
    assert row is not None
    return Subject(*row)


async def notes_of(connection: Connection, application_id: UUID) -> list[Note]:
    """The notes of a case, the oldest first."""
    rows = await connection.fetch(
        "SELECT written_at, writer, note FROM review_notes WHERE application_id = $1 ORDER BY id", application_id
    )
    return [Note(*row) for row in rows]


async def votes_of(connection: Connection, application_id: UUID) -> list[Vote]:
    """The votes of a case, the oldest first."""
    rows = await connection.fetch(
        "SELECT voted_at, voter, outcome, reason FROM review_votes WHERE application_id = $1 ORDER BY voted_at",
        application_id,
    )
    return [Vote(*row) for row in rows]


async def claim(connection: Connection, application_id: UUID, person: str, lease: timedelta) -> None:
    """Give a locked case to a person for `lease` from now."""
    await connection.execute(
        """
        UPDATE review_cases SET claimed_by = $2, lease_until = clock_timestamp() + $3, version = version + 1
        WHERE application_id = $1
        """,
        application_id,
        person,
        lease,
    )


async def wait_for_second_person(connection: Connection, application_id: UUID) -> None:
    """Release a locked case, for another person to look at."""
    await connection.execute(
        """
        UPDATE review_cases
        SET state = 'SECOND_PERSON', people_needed = 2, claimed_by = NULL, lease_until = NULL, version = version + 1
        WHERE application_id = $1
        """,
        application_id,
    )


async def insert_note(connection: Connection, application_id: UUID, actor: Actor, note: str) -> None:
    """Add a note to a case."""
    await connection.execute(
        "INSERT INTO review_notes (application_id, writer_kind, writer, note) VALUES ($1, $2, $3, $4)",
        application_id,
        actor.kind,
        actor.name,
        note,
    )


async def insert_vote(connection: Connection, application_id: UUID, actor: Actor, reason: ReviewReason) -> None:
    """Add a person's vote to a locked case on which that person has not voted."""
    await connection.execute(
        """
        INSERT INTO review_votes (application_id, voter, voter_kind, outcome, reason) VALUES ($1, $2, $3, $4, $5)
        """,
        application_id,
        actor.name,
        actor.kind,
        reason.outcome,
        reason.code,
    )


async def move_status(connection: Connection, application_id: UUID, reason: ReviewReason) -> int | None:
    """Move an application out of MANUAL_REVIEW; its new version, or None when it is not in review.

    Where the policy's decision was published, its event is put into the outbox too.
    """
    version: int | None = await connection.fetchval(
        f"""
        WITH moved AS (
            UPDATE applications SET status = $2, version = version + 1, updated_at = greatest(now(), updated_at)
            WHERE id = $1 AND status = 'MANUAL_REVIEW' AND version = {DECIDED_VERSION}
            RETURNING id AS application_id, client, version, status, policy_version, policy_hash,
                      decision_rule AS rule, monthly_income_inr, loan_amount_inr, loan_type, updated_at
        ), published AS (
            SELECT moved.*, $4::uuid AS decided_id, NULL AS correlation_id, NULL AS traceparent
            FROM moved WHERE EXISTS (SELECT FROM review_cases WHERE application_id = $1 AND decision_published)
        ), appended AS (
            {append_decided("published", _REVIEW)}
        )
        SELECT version FROM moved
        """,
        application_id,
        reason.outcome.value,
        reason.code,
        event_id(EventType.APPLICATION_DECIDED, application_id, DECIDED_VERSION + 1),
    )
    return version


async def close(connection: Connection, application_id: UUID, reason: ReviewReason) -> None:
    """Write the outcome of a locked case."""
    await connection.execute(
        """
        UPDATE review_cases
        SET state = 'DECIDED', outcome = $2, reason = $3, decided_at = now(), claimed_by = NULL, lease_until = NULL,
            version = version + 1
        WHERE application_id = $1
        """,
        application_id,
        reason.outcome,
        reason.code,
    )


def _case(row: asyncpg.Record) -> Case:
    return Case(**dict(row) | {"state": CaseState(row["state"])})
