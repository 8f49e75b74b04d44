"""The SQL of a story: everything that the database holds of one application, as of one moment.

Invariant: it only reads, and neither the encrypted PAN nor the applicant's name is among what it reads.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from prequal.domain.events import EventType, event_id
from prequal.postgres.connections import Connection


@dataclass(frozen=True, slots=True)
class Event:
    """One row of an event, in the `outbox`, `parked`, or in the `archive` of what was told."""

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


@dataclass(frozen=True, slots=True)
class Taken:
    """An event that a service took effect of."""

    consumer: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Access:
    """One access to the PAN, as it was recorded."""

    at: datetime
    service: str
    action: str
    request_id: str | None


@dataclass(frozen=True, slots=True)
class Republication:
    """How often the application's events were told again, and when next."""

    times: int
    last_at: datetime
    next_at: datetime


@dataclass(frozen=True, slots=True)
class Act:
    """What a person did to a dead letter of this application."""

    at: datetime
    letter: str
    action: str
    reason: str | None
    resolved_by: str


@dataclass(frozen=True, slots=True)
class Record:
    """All of it, read at `now`."""

    now: datetime
    application: asyncpg.Record
    events: Sequence[Event]
    taken: Sequence[Taken]
    accesses: Sequence[Access]
    republication: Republication | None
    acts: Sequence[Act]


async def read(connection: Connection, application_id: UUID) -> Record | None:
    """Everything of one application; None when there is no such application."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        application = await _application(connection, application_id)
        if application is None:
            return None
        event_ids = [event_id(event_type, application_id) for event_type in EventType]
        republications = await connection.fetch(
            "SELECT times, last_at, next_at FROM republications WHERE application_id = $1", application_id
        )
        return Record(
            now=await connection.fetchval("SELECT now()"),
            application=application,
            events=[Event(*row) for row in await _events(connection, application_id)],
            taken=[Taken(*row) for row in await _taken(connection, event_ids)],
            accesses=[Access(*row) for row in await _accesses(connection, application_id)],
            republication=Republication(*republications[0]) if republications else None,
            acts=[Act(*row) for row in await _acts(connection, event_ids)],
        )


async def _application(connection: Connection, application_id: UUID) -> asyncpg.Record | None:
    return await connection.fetchrow(
        """
        SELECT id, status, pan_number_masked, loan_type, monthly_income_inr, loan_amount_inr,
               cibil_score, decision_rule, decision_measures, policy_version, created_at, updated_at
        FROM applications WHERE id = $1
        """,
        application_id,
    )


async def _events(connection: Connection, application_id: UUID) -> list[asyncpg.Record]:
    """Archived several times, an event counts as told the first time."""
    return await connection.fetch(
        """
        SELECT 'outbox', event_type, created_at, NULL::timestamptz, republished, attempts, NULL, NULL::timestamptz,
               correlation_id, traceparent
        FROM outbox_events WHERE application_id = $1
        UNION ALL
        SELECT 'parked', event_type, created_at, NULL, republished, attempts, reason, next_try_at,
               correlation_id, traceparent
        FROM outbox_parked WHERE application_id = $1
        UNION ALL
        (SELECT DISTINCT ON (event_id)
                'archive', event_type, created_at, published_at, false, 0, NULL, NULL, correlation_id, traceparent
         FROM outbox_archive WHERE application_id = $1
         ORDER BY event_id, published_at)
        """,
        application_id,
    )


async def _taken(connection: Connection, event_ids: Sequence[UUID]) -> list[asyncpg.Record]:
    return await connection.fetch(
        """
        SELECT consumer, processed_at FROM processed_messages
        WHERE consumer IN ('credit-service', 'decision-service') AND event_id = ANY ($1::uuid[])
        """,
        event_ids,
    )


async def _accesses(connection: Connection, application_id: UUID) -> list[asyncpg.Record]:
    return await connection.fetch(
        "SELECT occurred_at, service, action, request_id FROM audit_log WHERE application_id = $1 ORDER BY id",
        application_id,
    )


async def _acts(connection: Connection, event_ids: Sequence[UUID]) -> list[asyncpg.Record]:
    return await connection.fetch(
        """
        SELECT resolved_at, concat_ws(':', topic, partition, "offset"), action, reason, resolved_by
        FROM resolved_dead_letters WHERE event_id = ANY ($1::text[]) ORDER BY id
        """,
        [str(each) for each in event_ids],
    )
