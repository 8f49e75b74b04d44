"""Decide reported applications: apply the policy, move the status once.

Neighbours: `kernel.consumer` brings batches, `decision.queries` writes, `domain.policy` decides.
Invariant: what was not decided by this batch's own transaction is explained by the next look, never assumed.
"""

from collections.abc import Sequence

from prequal.domain.policy import decide
from prequal.kernel import failpoints, inbox, metrics
from prequal.kernel.codec import CreditReportGenerated
from prequal.kernel.db import Link
from prequal.kernel.failpoints import Place
from prequal.kernel.inbox import Known
from prequal.kernel.messages import Outcome, Received, Verdict

from . import queries

Reported = Received[CreditReportGenerated]


class DecisionRoom:
    """Where reported applications are decided, a batch in one commit."""

    event_class = CreditReportGenerated

    def __init__(self, link: Link) -> None:
        self._link = link

    async def settle(self, batch: Sequence[Reported]) -> list[Verdict]:
        """Decide what is undecided; see `kernel.consumer.Room`."""
        async with self._link.use() as connection:
            known = await inbox.look_up(connection, queries.CONSUMER, [received.event for received in batch])
        verdicts: list[Verdict] = [facts.settled(received.event) for received, facts in zip(batch, known, strict=True)]
        open_cases = [
            _settlement(received, facts)
            for received, facts, verdict in zip(batch, known, verdicts, strict=True)
            if verdict is None
        ]
        if not open_cases or not await self._write(open_cases):
            return verdicts
        return [Outcome.DONE if verdict is None else verdict for verdict in verdicts]

    async def close(self) -> None:
        """Let the connection go."""
        await self._link.close()

    async def _write(self, settlements: Sequence[queries.Settlement]) -> bool:
        """Commit all of `settlements`, or, when an application moved since it was read, nothing."""
        # Two consumers with the same applications in hand lock them in the same order.
        settlements = sorted(settlements, key=lambda settlement: settlement.application_id)
        try:
            async with self._link.use() as connection, connection.transaction():
                seconds = await queries.write_decisions(connection, settlements)
                if len(seconds) < len(settlements):
                    raise _Moved
                failpoints.reached(Place.DECISION_BEFORE_COMMIT)
        except _Moved:
            metrics.RETRIES.labels("optimistic_lock").inc()
            return False
        failpoints.reached(Place.DECISION_AFTER_COMMIT)
        _count(settlements, seconds)
        return True


class _Moved(Exception):
    """An application is not as it was read: all is rolled back."""


def _settlement(received: Reported, facts: Known) -> queries.Settlement:
    event = received.event
    assert facts.version is not None  # an open case has an application
    return queries.Settlement(
        event_id=event.event_id,
        digest=event.digest,
        application_id=event.application_id,
        version=facts.version,
        decision=decide(event.cibil_score, event.monthly_income_inr, event.loan_amount_inr),
    )


def _count(settlements: Sequence[queries.Settlement], seconds: Sequence[float]) -> None:
    for settlement in settlements:
        metrics.BY_STATUS.labels(settlement.decision.status.value).inc()
    for second in seconds:
        metrics.DECISION_SECONDS.observe(second)
