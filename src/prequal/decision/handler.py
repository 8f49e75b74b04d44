"""Decide reported applications: apply the policy, move the status once.

Invariant: what was not decided by this batch's own statement is explained by the next look, never assumed.
"""

import functools
from collections.abc import Mapping, Sequence, Set
from uuid import UUID

from prometheus_client import Counter

from prequal.core import failpoints
from prequal.core.failpoints import Place
from prequal.decision import queries
from prequal.domain.policy import decide
from prequal.messaging import inbox
from prequal.messaging.events import CreditReportGenerated
from prequal.messaging.handler import HandlerResult, Outcome
from prequal.messaging.inbox import Known
from prequal.messaging.messages import Received
from prequal.postgres.connections import SingleConnection
from prequal.telemetry import metrics

Reported = Received[CreditReportGenerated]


class DecisionHandler:
    """Where reported applications are decided, a batch in one commit."""

    event_class = CreditReportGenerated

    def __init__(self, link: SingleConnection) -> None:
        self._link = link

    async def settle(self, batch: Sequence[Reported]) -> list[HandlerResult]:
        """Decide what is undecided; see `messaging.handler.Handler`."""
        async with self._link.use("look_up") as connection:
            known = await inbox.look_up(connection, queries.CONSUMER, [received.event for received in batch])
        results: list[HandlerResult] = [
            facts.settled(received.event) for received, facts in zip(batch, known, strict=True)
        ]
        open_cases = [
            _pending_decision(received, facts)
            for received, facts, verdict in zip(batch, known, results, strict=True)
            if verdict is None
        ]
        decided = await self._write(open_cases) if open_cases else set()
        return [
            Outcome.DONE if received.event.application_id in decided else verdict
            for received, verdict in zip(batch, results, strict=True)
        ]

    async def close(self) -> None:
        """Let the connection go."""
        await self._link.close()

    async def _write(self, pending: Sequence[queries.PendingDecision]) -> Set[UUID]:
        """Commit `pending`, without those whose application moved since it was read; returns who is decided."""
        # Two consumers with the same applications in hand lock them in the same order.
        pending = sorted(pending, key=lambda pending: pending.application_id)
        failpoints.reached(Place.DECISION_BEFORE_COMMIT)
        async with self._link.use("write_decisions") as connection:
            seconds = await queries.write_decisions(connection, pending)
        failpoints.reached(Place.DECISION_AFTER_COMMIT)
        metrics.RETRIES.labels("optimistic_lock").inc(len(pending) - len(seconds))
        _count(pending, seconds)
        return seconds.keys()


def _pending_decision(received: Reported, facts: Known) -> queries.PendingDecision:
    event = received.event
    assert facts.version is not None  # an open case has an application
    return queries.PendingDecision(
        event_id=event.event_id,
        digest=event.digest,
        application_id=event.application_id,
        version=facts.version,
        loan_type=event.loan_type,
        decision=decide(event.cibil_score, event.monthly_income_inr, event.loan_amount_inr),
    )


def _count(decisions: Sequence[queries.PendingDecision], seconds: Mapping[UUID, float]) -> None:
    for pending in decisions:
        if pending.application_id in seconds:
            decision = pending.decision
            decided, rupees = _series(decision.status.value, decision.rule.value, pending.loan_type.value)
            decided.inc()
            rupees.inc(float(decision.loan_amount_inr))
            metrics.DECISION_SECONDS.observe(seconds[pending.application_id])


@functools.cache
def _series(status: str, rule: str, loan_type: str) -> tuple[Counter, Counter]:
    """Where decisions of this kind and their rupees are counted; a closed set, looked up once each."""
    return metrics.BY_STATUS.labels(status, rule, loan_type), metrics.DECIDED_INR.labels(status, loan_type)
