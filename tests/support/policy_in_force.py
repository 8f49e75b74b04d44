"""The policy of a decision process, and the reports that it decides."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import cast

from harness.database import Database
from prequal.decision.handler import Reported
from prequal.decision.policy_in_force import PolicyInForce
from prequal.messaging.events import CreditReportGenerated
from prequal.postgres.connections import connected
from tests.support.submissions import Submission

TAKEN_OVER_WITHIN_SECONDS = 5.0


@asynccontextmanager
async def a_process(database: Database) -> AsyncIterator[PolicyInForce]:
    """What a decision process does about its policy, for as long as the block lasts."""
    policy, stop = PolicyInForce(database.url, "decision in a test"), asyncio.Event()
    async with connected(database.url, "test") as connection:
        await policy.load(connection)
    running = asyncio.create_task(policy.run(stop))
    try:
        yield policy
    finally:
        stop.set()
        await running
        await policy.close()


def as_reported(submission: Submission, score: int | None = None, challenge_draw: int | None = None) -> Reported:
    """A report as the consumer hands it to the handler; with the oracle's score unless one is given."""
    event = CreditReportGenerated.decode(submission.report(score, challenge_draw=challenge_draw).value or b"")
    return cast("Reported", SimpleNamespace(event=event))
