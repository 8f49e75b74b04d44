"""The SQL of decision-service: one statement, a transaction by itself, that moves the statuses and opens reviews.

Invariant: a status moves only from PENDING, only from the version that was read, and `version` and the inbox with it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from prequal.domain.policy.policy import Decision
from prequal.domain.review import DEFAULT_RULES, Rules
from prequal.messaging.events import CreditReportGenerated
from prequal.messaging.inbox import AGREES, COMPARED, DIGEST, FACTS, INSERT_REMEMBERED
from prequal.postgres.columns import Columns
from prequal.postgres.connections import Connection
from prequal.review.queries import OPEN_CASES

CONSUMER = "decision-service"


@dataclass(frozen=True, slots=True)
class PendingDecision:
    """A decision to be written, if its application is undecided and the one of which the report speaks."""

    event: CreditReportGenerated
    decision: Decision


_DECISIONS = Columns[PendingDecision](
    *FACTS,
    ("digest", "bytea", lambda pending: pending.event.digest),
    ("status", "text", lambda pending: pending.decision.status.value),
    ("score", "integer", lambda pending: pending.event.cibil_score),
    ("rule", "text", lambda pending: pending.decision.code),
    ("measures", "jsonb", lambda pending: pending.decision.measures_json),
    ("policy_version", "text", lambda pending: pending.decision.policy.version),
    ("policy_hash", "bytea", lambda pending: pending.decision.policy.digest),
)


async def write_decisions(
    connection: Connection, pending: Sequence[PendingDecision], review: Rules = DEFAULT_RULES
) -> dict[UUID, float]:
    """Decide the applications and remember the events; returns seconds since acceptance, by application.

    What people are to decide gets its case by `review`.
    Nothing is written for an application that is missing from the answer: its event took effect before or speaks of
    another one, or it moved while the statement ran.
    """
    rows = await connection.fetch(
        f"""
        WITH undecided AS MATERIALIZED (
            -- One look-up a row by its id, whatever the planner thinks of the table's size.
            SELECT event.*, found.place, found.version
            FROM {_DECISIONS.table("event", first=4)}
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
                      application.status, application.loan_amount_inr
        ), opened AS (
            {OPEN_CASES.format(hours="$2", amount="$3", decided="moved")}
        ), remembered AS (
            {INSERT_REMEMBERED.format(consumer="$1", events="moved")}
        )
        SELECT application_id, extract(epoch FROM clock_timestamp() - created_at)::float8 FROM moved
        """,
        CONSUMER,
        review.target_hours,
        review.two_people_above_inr,
        *_DECISIONS.arrays(pending),
    )
    return {row[0]: row[1] for row in rows}
