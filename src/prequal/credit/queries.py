"""The SQL of credit-service: the record of every PAN that is decrypted, and the effect of an assessment.

Invariant: a report is put into the outbox by the statement that remembers its event, once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from prequal.core.errors import Transient
from prequal.core.topology import Service, topic_of
from prequal.messaging.events import ApplicationSubmitted, CreditReportGenerated
from prequal.messaging.inbox import FACTS, INSERT_REMEMBERED, KNOWN, Known, known_by_id
from prequal.messaging.outbox import NO_ROW, ROW, OutboxRow, with_time
from prequal.postgres.columns import Columns
from prequal.postgres.connections import Connection

CONSUMER: Final = Service.CREDIT.value


@dataclass(frozen=True, slots=True)
class Report:
    """A score to be published, or that there is no file, and the event it answers."""

    event_id: UUID
    """Of the event that is answered."""
    digest: bytes
    report_id: UUID
    """The id of the report's own event."""
    application_id: UUID
    body: str
    correlation_id: str | None
    traceparent: str | None


@dataclass(frozen=True, slots=True)
class Decryption:
    """An event that is looked up, and whether its PAN is to be decrypted if it is new.

    It is not where its key is away, or a kept report answers.
    """

    event: ApplicationSubmitted
    must_decrypt: bool
    request_id: str | None
    """Of the request that brought the application: the message's `correlation_id`."""


_DECRYPTIONS = Columns[Decryption](
    *FACTS,
    ("must_decrypt", "boolean", lambda decryption: decryption.must_decrypt),
    ("request_id", "text", lambda decryption: decryption.request_id),
)


async def record_decryptions(connection: Connection, decryptions: Sequence[Decryption]) -> dict[UUID, Known]:
    """Look the events up, and record that the PANs of those that are new and must be decrypted are about to be.

    Returns what is known of each event, by its id.
    """
    rows = await connection.fetch(
        f"""
        WITH known AS MATERIALIZED (
            {KNOWN.format(consumer="$1", events=_DECRYPTIONS.table("event", first=2))}
        ), recorded AS (
            INSERT INTO audit_log (application_id, service, action, request_id)
            SELECT application_id, $1, 'READ', request_id FROM known
            WHERE must_decrypt AND digest IS NULL AND agrees AND status = 'PENDING'
        )
        SELECT event_id, digest, status, agrees FROM known
        """,
        CONSUMER,
        *_DECRYPTIONS.parameters(decryptions),
    )
    return known_by_id(rows)


_REPORTS = Columns[Report](
    ("event_id", "uuid", lambda report: report.event_id),
    ("digest", "bytea", lambda report: report.digest),
    ("report_id", "uuid", lambda report: report.report_id),
    ("application_id", "uuid", lambda report: report.application_id),
    ("body", "text", lambda report: report.body),
    ("correlation_id", "text", lambda report: report.correlation_id),
    ("traceparent", "text", lambda report: report.traceparent),
)


async def append_reports(connection: Connection, reports: Sequence[Report], signed_by: bytes) -> list[OutboxRow]:
    """Remember the events and put the reports of those that were new into the outbox; returns these reports' rows.

    Raises:
        Transient: the key of this id, which signed them, is retired; nothing was written.
    """
    rows = await connection.fetch(
        f"""
        WITH key AS MATERIALIZED (
            SELECT EXISTS (
                SELECT FROM key_checks WHERE purpose = 'REPORT_KEY' AND key_id = $4 AND retired_at IS NOT NULL
            ) AS is_retired
        ), input AS (
            SELECT {_REPORTS.names} FROM {_REPORTS.table("input", first=5)} WHERE (SELECT NOT is_retired FROM key)
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
            RETURNING {ROW}
        )
        SELECT {ROW} FROM appended
        UNION ALL SELECT {NO_ROW} FROM key WHERE is_retired
        """,
        CONSUMER,
        topic_of(CreditReportGenerated.type),
        CreditReportGenerated.type.value,
        signed_by,
        *_REPORTS.parameters(reports),
    )
    if any(row[0] is None for row in rows):
        raise Transient(f"REPORT_KEY (id {signed_by.hex()}) is retired: restart this process with the new one")
    return [*map(OutboxRow._make, rows)]
