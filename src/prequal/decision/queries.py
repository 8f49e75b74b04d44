"""The SQL of decision-service: one statement that moves statuses, opens reviews and writes the events of decisions.

Invariant: a status moves only from PENDING, only from the version that was read, and `version` and the inbox with it.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from prequal.core.topology import Service
from prequal.domain.application import DECIDED_VERSION
from prequal.domain.events import EventType
from prequal.domain.policy.policy import Decision
from prequal.domain.review import DEFAULT_RULES, Rules
from prequal.messaging.event_ids import event_id
from prequal.messaging.events import CreditReportGenerated
from prequal.messaging.inbox import AGREES, COMPARED, DIGEST, FACTS, INSERT_REMEMBERED
from prequal.messaging.outbox import append_decided
from prequal.postgres.columns import Column, Columns
from prequal.postgres.connections import Connection
from prequal.review.queries import OPEN_CASES

CONSUMER: Final = Service.DECISION.value


@dataclass(frozen=True, slots=True)
class PendingDecision:
    """A decision to be written, if its application is undecided and the one of which the report speaks."""

    event: CreditReportGenerated
    decision: Decision
    correlation_id: str | None = None
    traceparent: str | None = None


def _decided_id(application_id: UUID) -> UUID:
    return event_id(EventType.APPLICATION_DECIDED, application_id, DECIDED_VERSION)


_FIELDS: tuple[Column[PendingDecision], ...] = (
    *FACTS,
    ("digest", "bytea", lambda pending: pending.event.digest),
    ("status", "text", lambda pending: pending.decision.status.value),
    ("score", "integer", lambda pending: pending.event.cibil_score),
    ("rule", "text", lambda pending: pending.decision.code),
    ("measures", "jsonb", lambda pending: pending.decision.measures_json),
    ("policy_version", "text", lambda pending: pending.decision.policy.version),
    ("policy_hash", "bytea", lambda pending: pending.decision.policy.digest),
)
_DECISIONS = Columns[PendingDecision](*_FIELDS)
_DECISIONS_WITH_EVENTS = Columns[PendingDecision](
    *_FIELDS,
    ("decided_id", "uuid", lambda pending: _decided_id(pending.event.application_id)),
    ("correlation_id", "text", lambda pending: pending.correlation_id),
    ("traceparent", "text", lambda pending: pending.traceparent),
)

_OF_EVENTS = """,
                      decided_id, correlation_id, traceparent, application.client, application.version, rule,
                      undecided.policy_version, undecided.policy_hash, application.monthly_income_inr,
                      application.loan_type, greatest(now(), application.created_at) AS updated_at"""
"""SQL: what the event of a moved row holds besides."""
_APPENDED = f", appended AS ({append_decided('moved')})"


async def write_decisions(
    connection: Connection,
    pending: Sequence[PendingDecision],
    review: Rules = DEFAULT_RULES,
    with_events: bool = False,
) -> dict[UUID, float]:
    """Decide the applications and remember the events; returns seconds since acceptance, by application.

    What people are to decide gets its case by `review`; each decision gets a row of the outbox `with_events`.
    Nothing is written for an application that is missing from the answer: its event was handled before or speaks of
    another one, or it moved while the statement ran.
    """
    rows = await connection.fetch(
        _statement(with_events),
        CONSUMER,
        review.target_hours,
        review.two_people_above_inr,
        *(_DECISIONS_WITH_EVENTS if with_events else _DECISIONS).parameters(pending),
    )
    return {row[0]: row[1] for row in rows}


@functools.cache
def _statement(with_events: bool) -> str:
    """SQL: see `write_decisions`; its parameters: consumer, hours, amount, and the columns of the decisions."""
    decisions = _DECISIONS_WITH_EVENTS if with_events else _DECISIONS
    return f"""
        WITH undecided AS MATERIALIZED (
            -- One look-up a row by its id, whatever the planner thinks of the table's size.
            SELECT event.*, found.place, found.version
            FROM {decisions.table("event", first=4)}
            CROSS JOIN LATERAL (
                SELECT {COMPARED}, version, ctid AS place FROM applications WHERE id = event.application_id LIMIT 1
            ) AS found
            WHERE found.status = 'PENDING'
              AND {AGREES}
              AND {DIGEST.format(consumer="$1")} IS NULL
        ), moved AS (
            UPDATE applications AS application
            SET status = undecided.status,
                cibil_score = undecided.score,
                decision_rule = undecided.rule,
                decision_measures = undecided.measures,
                policy_version = undecided.policy_version,
                policy_hash = undecided.policy_hash,
                version = application.version + 1,
                updated_at = greatest(now(), application.created_at)
            FROM undecided
            -- A row that moved after the look-up is at another place, and is not updated.
            WHERE application.ctid = undecided.place AND application.version = undecided.version
            RETURNING application.id AS application_id, event_id, digest, application.created_at,
                      application.status, application.loan_amount_inr{_OF_EVENTS if with_events else ""}
        ), opened AS (
            {OPEN_CASES.format(hours="$2", amount="$3", decided="moved", published=str(with_events).lower())}
        ), remembered AS (
            {INSERT_REMEMBERED.format(consumer="$1", events="moved")}
        ){_APPENDED if with_events else ""}
        SELECT application_id, extract(epoch FROM clock_timestamp() - created_at)::float8 FROM moved
    """
