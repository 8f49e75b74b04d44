"""SQL of a timeline: everything that the database holds of one application, as of one moment.

Invariant: it only reads, and reads neither the encrypted PAN nor the applicant's name.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from prequal.core.topology import ROUTES
from prequal.domain.policy.policy import Policy
from prequal.messaging.event_ids import event_id
from prequal.postgres.connections import Connection
from prequal.record.queries import readable
from prequal.review.queries import Case, case_of

CONSUMERS = {event_type: route.consumer.value for event_type, route in ROUTES.items()}
"""The service that consumes each type of event."""
READ_MAX = 1000
"""Rows of one request's id: a client may send one id with every request."""


@dataclass(frozen=True, slots=True)
class OutboxEvent:
    """A row of an event: in the `outbox`, `parked`, or published and in the `archive`."""

    place: str
    event_type: str
    created_at: datetime
    published_at: datetime | None
    republished: bool
    attempts: int
    reason: str | None
    next_try_at: datetime | None
    correlation_id: str | None
    traceparent: str | None
    published_by: str | None
    """The process; None of an event that waits, and where it is not known."""


@dataclass(frozen=True, slots=True)
class ProcessedEvent:
    """An event that took effect in a service, by its inbox row."""

    consumer: str
    at: datetime


@dataclass(frozen=True, slots=True)
class PanAccess:
    """An access to the PAN, by the audit log."""

    at: datetime
    service: str
    action: str
    request_id: str | None


@dataclass(frozen=True, slots=True)
class Republication:
    """How often the application's events were republished, and when they are due next."""

    times: int
    last_at: datetime
    next_at: datetime


@dataclass(frozen=True, slots=True)
class ResolvedDeadLetter:
    """What a person did to a dead letter of this application."""

    at: datetime
    id: str
    action: str
    reason: str | None
    resolved_by: str


@dataclass(frozen=True, slots=True)
class ReviewAct:
    """What a person did with the case of this application, by the record of acts; `details` is JSON."""

    at: datetime
    action: str
    person: str
    details: str


@dataclass(frozen=True, slots=True)
class Record:
    """Everything that the database holds of an application, read at `now`."""

    now: datetime
    application: asyncpg.Record
    events: Sequence[OutboxEvent]
    processed: Sequence[ProcessedEvent]
    accesses: Sequence[PanAccess]
    republication: Republication | None
    resolved: Sequence[ResolvedDeadLetter]
    case: Case | None = None
    """Of the application that the policy left to people."""
    reviewed: Sequence[ReviewAct] = ()
    policy: Policy | None = None
    """By which it was decided, where this code knows it."""


async def read(connection: Connection, application_id: UUID) -> Record | None:
    """Everything of one application; None when there is no such application."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        application = await _application(connection, application_id)
        if application is None:
            return None
        event_ids = [event_id(event_type, application_id) for event_type in ROUTES]
        republications = await connection.fetch(
            "SELECT times, last_at, next_at FROM republications WHERE application_id = $1", application_id
        )
        return Record(
            now=await connection.fetchval("SELECT now()"),
            application=application,
            events=[OutboxEvent(*row) for row in await _events(connection, application_id)],
            processed=[ProcessedEvent(*row) for row in await _processed(connection, application_id)],
            accesses=[PanAccess(*row) for row in await _accesses(connection, application_id)],
            republication=Republication(*republications[0]) if republications else None,
            resolved=[ResolvedDeadLetter(*row) for row in await _resolved(connection, event_ids)],
            case=await case_of(connection, application_id),
            reviewed=[ReviewAct(*row) for row in await _reviewed(connection, application_id)],
        )


async def applications_of_request(connection: Connection, request_id: str, limit: int) -> list[UUID]:
    """The applications that requests of this id submitted, while their events wait or are in the archive (7 days).

    At most `limit`, the newest first; of an id of more than `READ_MAX` rows any.
    """
    rows = await connection.fetch(
        """
        SELECT DISTINCT application_id FROM (
            SELECT application_id FROM outbox_archive
            WHERE correlation_id = $1 AND event_type = 'ApplicationSubmitted'
            UNION ALL
            SELECT application_id FROM outbox_events
            WHERE correlation_id = $1 AND event_type = 'ApplicationSubmitted'
            UNION ALL
            SELECT application_id FROM outbox_parked
            WHERE correlation_id = $1 AND event_type = 'ApplicationSubmitted'
            LIMIT $2
        ) AS submitted
        ORDER BY application_id DESC LIMIT $3
        """,
        request_id,
        READ_MAX,
        limit,
    )
    return [row[0] for row in rows]


async def _application(connection: Connection, application_id: UUID) -> asyncpg.Record | None:
    return await connection.fetchrow(
        """
        SELECT id, status, pan_number_masked, loan_type, application.loan_amount_inr, monthly_income_inr,
               cibil_score, decision_rule, decision_measures, policy_version, policy_hash, created_at, updated_at,
               review.opened_at, review.outcome, review.reason, review.decided_at,
               (SELECT age_seconds FROM reused_reports WHERE application_id = id) AS report_age_seconds
        FROM applications AS application LEFT JOIN review_cases AS review ON review.application_id = application.id
        WHERE id = $1
        """,
        application_id,
    )


async def _events(connection: Connection, application_id: UUID) -> list[asyncpg.Record]:
    """An event that is archived several times counts as published the first time."""
    return await connection.fetch(
        """
        SELECT 'outbox', event_type, created_at, NULL::timestamptz, republished, attempts, NULL, NULL::timestamptz,
               correlation_id, traceparent, NULL
        FROM outbox_events WHERE application_id = $1
        UNION ALL
        SELECT 'parked', event_type, created_at, NULL, republished, attempts, reason, next_try_at,
               correlation_id, traceparent, NULL
        FROM outbox_parked WHERE application_id = $1
        UNION ALL
        (SELECT DISTINCT ON (event_id)
                'archive', event_type, created_at, published_at, false, 0, NULL, NULL, correlation_id, traceparent,
                published_by
         FROM outbox_archive WHERE application_id = $1
         ORDER BY event_id, published_at)
        """,
        application_id,
    )


async def _processed(connection: Connection, application_id: UUID) -> list[asyncpg.Record]:
    return await connection.fetch(
        """
        SELECT consumer, processed_at FROM processed_messages
        WHERE consumer = ANY ($1::text[]) AND application_id = $2
        """,
        list(CONSUMERS.values()),
        application_id,
    )


async def _accesses(connection: Connection, application_id: UUID) -> list[asyncpg.Record]:
    return await connection.fetch(
        f"""
        SELECT {readable("occurred_at")}, service, action, request_id
        FROM audit_log WHERE application_id = $1 ORDER BY id
        """,
        application_id,
    )


async def _resolved(connection: Connection, event_ids: Sequence[UUID]) -> list[asyncpg.Record]:
    return await connection.fetch(
        """
        SELECT resolved_at, concat_ws(':', topic, partition, "offset"), action, reason, resolved_by
        FROM resolved_dead_letters WHERE event_id = ANY ($1::text[]) ORDER BY id
        """,
        [str(each) for each in event_ids],
    )


async def _reviewed(connection: Connection, application_id: UUID) -> list[asyncpg.Record]:
    return await connection.fetch(
        f"""
        SELECT {readable("occurred_at")}, action, actor, details::text FROM acts
        WHERE subject_kind = 'application' AND subject = $1 AND action LIKE 'review\\_%' ORDER BY id
        """,
        str(application_id),
    )
