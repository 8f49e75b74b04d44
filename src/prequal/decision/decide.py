"""Decide reported applications: apply the policy, move the status once.

Neighbours: `kernel.consumer` brings batches, `decision.queries` writes, `domain.policy` decides.
Invariant: what was not decided by this batch's own statement is explained by the next look, never assumed.
"""

import functools
from collections.abc import Mapping, Sequence, Set
from uuid import UUID

from prometheus_client import Counter

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
        async with self._link.use("look_up") as connection:
            known = await inbox.look_up(connection, queries.CONSUMER, [received.event for received in batch])
        verdicts: list[Verdict] = [facts.settled(received.event) for received, facts in zip(batch, known, strict=True)]
        open_cases = [
            _settlement(received, facts)
            for received, facts, verdict in zip(batch, known, verdicts, strict=True)
            if verdict is None
        ]
        decided = await self._write(open_cases) if open_cases else set()
        return [
            Outcome.DONE if received.event.application_id in decided else verdict
            for received, verdict in zip(batch, verdicts, strict=True)
        ]

    async def close(self) -> None:
        """Let the connection go."""
        await self._link.close()

    async def _write(self, settlements: Sequence[queries.Settlement]) -> Set[UUID]:
        """Commit `settlements`, without those whose application moved since it was read; returns who is decided."""
        # Two consumers with the same applications in hand lock them in the same order.
        settlements = sorted(settlements, key=lambda settlement: settlement.application_id)
        failpoints.reached(Place.DECISION_BEFORE_COMMIT)
        async with self._link.use("write_decisions") as connection:
            seconds = await queries.write_decisions(connection, settlements)
        failpoints.reached(Place.DECISION_AFTER_COMMIT)
        metrics.RETRIES.labels("optimistic_lock").inc(len(settlements) - len(seconds))
        _count(settlements, seconds)
        return seconds.keys()


def _settlement(received: Reported, facts: Known) -> queries.Settlement:
    event = received.event
    assert facts.version is not None  # an open case has an application
    return queries.Settlement(
        event_id=event.event_id,
        digest=event.digest,
        application_id=event.application_id,
        version=facts.version,
        loan_type=event.loan_type,
        decision=decide(event.cibil_score, event.monthly_income_inr, event.loan_amount_inr),
    )


def _count(settlements: Sequence[queries.Settlement], seconds: Mapping[UUID, float]) -> None:
    for settlement in settlements:
        if settlement.application_id in seconds:
            decision = settlement.decision
            decided, rupees = _series(decision.status.value, decision.rule.value, settlement.loan_type.value)
            decided.inc()
            rupees.inc(float(decision.loan_amount_inr))
            metrics.DECISION_SECONDS.observe(seconds[settlement.application_id])


@functools.cache
def _series(status: str, rule: str, loan_type: str) -> tuple[Counter, Counter]:
    """Where decisions of this kind and their rupees are counted; a closed set, looked up once each."""
    return metrics.BY_STATUS.labels(status, rule, loan_type), metrics.DECIDED_INR.labels(status, loan_type)
