"""Decide reported applications: apply the policy, change the status once.

Invariant: an event is called done only when this batch's own statement decided its application.
"""

import functools
from collections.abc import Mapping, Sequence
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
    """Decides reported applications, a batch in one commit."""

    event_class = CreditReportGenerated

    def __init__(self, link: SingleConnection) -> None:
        self._link = link

    async def handle(self, batch: Sequence[Reported]) -> dict[UUID, HandlerResult]:
        """Decide what is undecided; see `messaging.handler.Handler`."""
        async with self._link.use("look_up") as connection:
            known = await inbox.look_up(connection, queries.CONSUMER, [received.event for received in batch])
        results: dict[UUID, HandlerResult] = {}
        pending: list[queries.PendingDecision] = []
        for event in (received.event for received in batch):
            if (result := known[event.event_id].settled(event)) is None:
                pending.append(_pending_decision(event, known[event.event_id]))
            else:
                results[event.event_id] = result
        return results | await self._decide(pending) if pending else results

    async def close(self) -> None:
        """Let the connection go."""
        await self._link.close()

    async def _decide(self, pending: Sequence[queries.PendingDecision]) -> dict[UUID, HandlerResult]:
        """Commit `pending`; an event whose application changed since it was read has lost a race."""
        # Two consumers with the same applications lock them in the same order: no deadlock.
        pending = sorted(pending, key=lambda each: each.application_id)
        failpoints.reached(Place.DECISION_BEFORE_COMMIT)
        async with self._link.use("write_decisions") as connection:
            seconds = await queries.write_decisions(connection, pending)
        failpoints.reached(Place.DECISION_AFTER_COMMIT)
        metrics.RETRIES.labels("optimistic_lock").inc(len(pending) - len(seconds))
        _count(pending, seconds)
        return {
            each.event_id: Outcome.DONE if each.application_id in seconds else Outcome.LOST_RACE for each in pending
        }


def _pending_decision(event: CreditReportGenerated, facts: Known) -> queries.PendingDecision:
    assert facts.version is not None  # an event without a result has an application
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
    """The counters of decisions of this kind and of their rupees; a closed set, looked up once each."""
    return metrics.BY_STATUS.labels(status, rule, loan_type), metrics.DECIDED_INR.labels(status, loan_type)
