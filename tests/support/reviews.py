"""Applications that the policy leaves to people, as decision-service decides them."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from confluent_kafka import Message

from harness.database import PASSWORD, Database
from harness.policies import decided_by_v1
from prequal.decision.handler import DecisionHandler
from prequal.domain.review import DEFAULT_RULES, Rules
from prequal.local.logins import as_login
from prequal.messaging.events import CreditReportGenerated
from prequal.messaging.messages import Received
from prequal.messaging.report_mac import ReportMac
from prequal.postgres.connections import SingleConnection
from prequal.schema.grants import Role
from tests.support.submissions import REPORT_MAC, Submission, stored

SMALL: dict[str, Any] = {"monthly_income_inr": "10000.00", "loan_amount_inr": "500000.00"}
LARGE: dict[str, Any] = {"monthly_income_inr": "10000.00", "loan_amount_inr": "1000000.01"}


async def reported(
    database: Database,
    submissions: Sequence[Submission],
    score: int | None = 700,
    rules: Rules = DEFAULT_RULES,
    *,
    publish: bool = False,
    mac: ReportMac | None = REPORT_MAC,
) -> list[Any]:
    """What decision-service says of these applications' reports."""
    batch = [
        Received(
            Message(),
            [("correlation_id", b"request-1")],
            CreditReportGenerated.decode(submission.report(score, mac).value),
        )
        for submission in submissions
    ]
    connection = SingleConnection(as_login(database.url, Role.DECISION, PASSWORD), "test decision")
    handler = DecisionHandler(connection, decided_by_v1, REPORT_MAC, review=rules, publish=publish)
    try:
        results = await handler.handle(batch)
    finally:
        await handler.close()
    return [results[received.event.event_id] for received in batch]


async def in_review(
    database: Database, amounts: dict[str, Any] = SMALL, rules: Rules = DEFAULT_RULES, *, publish: bool = False
) -> UUID:
    """An application that the policy left to people."""
    submissions = stored(database, **amounts)
    await reported(database, submissions, rules=rules, publish=publish)
    return submissions[0].id
