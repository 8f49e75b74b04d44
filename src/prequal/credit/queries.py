"""The SQL of the credit room: the record of every PAN that is opened, and the effect of an assessment.

Invariant: a report is told in the statement that remembers its event, once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from prequal.core.topology import topic_of
from prequal.domain.events import EventType
from prequal.messaging.inbox import INSERT_REMEMBERED
from prequal.messaging.outbox import close_body
from prequal.postgres.connections import Connection

CONSUMER = "credit-service"


@dataclass(frozen=True, slots=True)
class Report:
    """A score to be told, and the event it answers."""

    submitted_event_id: UUID
    digest: bytes
    event_id: UUID
    application_id: UUID
    cibil_score: int
    body: str
    correlation_id: str | None
    traceparent: str | None


async def record_reads(connection: Connection, reads: Sequence[tuple[UUID, str | None]]) -> None:
    """Record that the PANs of these applications are about to be opened, for these request ids."""
    await connection.execute(
        """
        INSERT INTO audit_log (application_id, service, action, request_id)
        SELECT application_id, $3, 'READ', request_id
        FROM unnest($1::uuid[], $2::text[]) AS reads (application_id, request_id)
        """,
        [application_id for application_id, _ in reads],
        [request_id for _, request_id in reads],
        CONSUMER,
    )


async def append_reports(connection: Connection, reports: Sequence[Report]) -> set[UUID]:
    """Remember the events and tell their reports; returns the ids of those events that nobody had remembered."""
    rows = await connection.fetch(
        f"""
        WITH input AS (
            SELECT * FROM unnest($1::uuid[], $2::bytea[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::text[])
            AS input (event_id, digest, report_id, application_id, body, correlation_id, traceparent)
        ), remembered AS (
            {INSERT_REMEMBERED.format(consumer="$8", events="input")}
        ), told AS (
            INSERT INTO outbox_events (
                topic, event_type, event_id, application_id, payload, correlation_id, traceparent
            )
            SELECT $9, $10, report_id, application_id, {close_body("body", "generated_at")}, correlation_id, traceparent
            FROM input
            WHERE event_id = ANY (ARRAY (SELECT event_id FROM remembered))
        )
        SELECT event_id FROM remembered
        """,
        [report.submitted_event_id for report in reports],
        [report.digest for report in reports],
        [report.event_id for report in reports],
        [report.application_id for report in reports],
        [report.body for report in reports],
        [report.correlation_id for report in reports],
        [report.traceparent for report in reports],
        CONSUMER,
        topic_of(EventType.CREDIT_REPORT_GENERATED),
        EventType.CREDIT_REPORT_GENERATED.value,
    )
    return {row[0] for row in rows}
