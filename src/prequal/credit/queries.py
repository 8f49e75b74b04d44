"""The SQL of credit-service: the record of every PAN that is decrypted, and the effect of an assessment.

Invariant: a report is put into the outbox by the statement that remembers its event, once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from prequal.core.topology import topic_of
from prequal.messaging.events import CreditReportGenerated
from prequal.messaging.inbox import INSERT_REMEMBERED
from prequal.messaging.outbox import with_time
from prequal.postgres.columns import Columns
from prequal.postgres.connections import Connection

CONSUMER = "credit-service"


@dataclass(frozen=True, slots=True)
class Report:
    """A score to be published, and the event it answers."""

    submitted_event_id: UUID
    digest: bytes
    event_id: UUID
    application_id: UUID
    cibil_score: int
    body: str
    correlation_id: str | None
    traceparent: str | None


async def record_reads(connection: Connection, reads: Sequence[tuple[UUID, str | None]]) -> None:
    """Record that the PANs of these applications are about to be decrypted, for these request ids."""
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


_REPORTS = Columns[Report](
    ("event_id", "uuid", lambda report: report.submitted_event_id),
    ("digest", "bytea", lambda report: report.digest),
    ("report_id", "uuid", lambda report: report.event_id),
    ("application_id", "uuid", lambda report: report.application_id),
    ("body", "text", lambda report: report.body),
    ("correlation_id", "text", lambda report: report.correlation_id),
    ("traceparent", "text", lambda report: report.traceparent),
)


async def append_reports(connection: Connection, reports: Sequence[Report]) -> set[UUID]:
    """Remember the events and put their reports into the outbox; returns the ids of the events that were new."""
    rows = await connection.fetch(
        f"""
        WITH input AS (
            SELECT * FROM {_REPORTS.table("input", first=4)}
        ), remembered AS (
            {INSERT_REMEMBERED.format(consumer="$1", events="input")}
        ), appended AS (
            INSERT INTO outbox_events (
                topic, event_type, event_id, application_id, payload, correlation_id, traceparent
            )
            SELECT $2, $3, report_id, application_id, {with_time("body", CreditReportGenerated.time_field)},
                   correlation_id, traceparent
            FROM input
            WHERE event_id = ANY (ARRAY (SELECT event_id FROM remembered))
        )
        SELECT event_id FROM remembered
        """,
        CONSUMER,
        topic_of(CreditReportGenerated.type),
        CreditReportGenerated.type.value,
        *_REPORTS.arrays(reports),
    )
    return {row[0] for row in rows}
