"""The SQL of decision-service: one statement, a transaction by itself, that moves the statuses and remembers why.

Invariant: a status moves only from PENDING, only from the version that was read, and `version` and the inbox with it.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from prequal.domain.application import LoanType
from prequal.domain.policy import Decision
from prequal.messaging.inbox import INSERT_REMEMBERED
from prequal.postgres.columns import Columns
from prequal.postgres.connections import Connection

CONSUMER = "decision-service"


@dataclass(frozen=True, slots=True)
class PendingDecision:
    """A decision to be written, the event it answers and the version of the application it was made on."""

    event_id: UUID
    digest: bytes
    application_id: UUID
    version: int
    loan_type: LoanType
    decision: Decision


_DECISIONS = Columns[PendingDecision](
    ("event_id", "uuid", lambda pending: pending.event_id),
    ("digest", "bytea", lambda pending: pending.digest),
    ("application_id", "uuid", lambda pending: pending.application_id),
    ("version", "integer", lambda pending: pending.version),
    ("status", "text", lambda pending: pending.decision.status.value),
    ("score", "integer", lambda pending: pending.decision.cibil_score),
    ("rule", "text", lambda pending: pending.decision.rule.value),
    ("measures", "jsonb", lambda pending: json.dumps(pending.decision.measures)),
    ("policy_version", "text", lambda pending: pending.decision.policy_version),
)


async def write_decisions(connection: Connection, pending: Sequence[PendingDecision]) -> dict[UUID, float]:
    """Decide the applications and remember the events; returns seconds since acceptance, by application.

    An application that is missing from the answer moved since it was read: nothing was written for it.
    """
    rows = await connection.fetch(
        f"""
        WITH input AS (
            SELECT * FROM {_DECISIONS.table("input", first=2)}
        ), undecided AS MATERIALIZED (
            -- One look-up a row by its id, whatever the planner thinks of the table's size.
            SELECT input.*, found.place
            FROM input
            CROSS JOIN LATERAL (
                SELECT ctid AS place, status, version FROM applications WHERE id = input.application_id LIMIT 1
            ) AS found
            WHERE found.status = 'PENDING'
              AND found.version = input.version
        ), moved AS (
            UPDATE applications AS application
            SET status = undecided.status,
                cibil_score = undecided.score,
                decision_rule = undecided.rule,
                decision_measures = undecided.measures,
                policy_version = undecided.policy_version,
                version = application.version + 1,
                updated_at = greatest(now(), application.created_at)
            FROM undecided
            -- A row that moved after the look-up is at another place, and is not updated.
            WHERE application.ctid = undecided.place AND application.version = undecided.version
            RETURNING application.id, event_id, digest, application.created_at
        ), remembered AS (
            {INSERT_REMEMBERED.format(consumer="$1", events="moved")}
        )
        SELECT id, extract(epoch FROM clock_timestamp() - created_at)::float8 FROM moved
        """,
        CONSUMER,
        *_DECISIONS.arrays(pending),
    )
    return {row[0]: row[1] for row in rows}
