"""Decide reported applications: apply the policy, change the status once.

Invariant: an event is called done only when this batch's own statement decided its application by a report of credit's.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from uuid import UUID

from prometheus_client import Counter

from prequal.core import failpoints
from prequal.core.errors import Invalid
from prequal.core.failpoints import Place
from prequal.decision import queries
from prequal.decision.policy_in_force import InForce
from prequal.decision.shadow import Shadow
from prequal.domain.policy.facts import Facts
from prequal.domain.policy.policy import Policy
from prequal.domain.review import DEFAULT_RULES, Rules
from prequal.messaging import inbox
from prequal.messaging.events import CreditReportGenerated
from prequal.messaging.handler import HandlerResult, Outcome
from prequal.messaging.inbox import Known
from prequal.messaging.messages import Received
from prequal.messaging.report_mac import ReportMac
from prequal.postgres.connections import Connection, SingleConnection
from prequal.telemetry import metrics

Reported = Received[CreditReportGenerated]


class DecisionHandler:
    """Decides reported applications, a batch in one commit."""

    event_class = CreditReportGenerated

    def __init__(
        self,
        connection: SingleConnection,
        in_force: Callable[[], InForce],
        mac: ReportMac,
        shadow: Shadow | None = None,
        *,
        review: Rules = DEFAULT_RULES,
        publish: bool = False,
        accept_unsigned: bool = False,
    ) -> None:
        """Decide each batch by what `in_force` answers when it begins; `publish` the decisions, or not."""
        self._connection = connection
        self._in_force = in_force
        self._mac = mac
        self._shadow = shadow or Shadow()
        self._review = review
        self._publish = publish
        self._accept_unsigned = accept_unsigned

    async def handle(self, batch: Sequence[Reported]) -> dict[UUID, HandlerResult]:
        """Decide what is undecided; see `messaging.handler.Handler`."""
        # Two consumers with the same applications lock them in the same order: no deadlock.
        batch = sorted(batch, key=lambda received: received.event.application_id)
        in_force = self._in_force()  # one for the whole batch
        deciding = [each for each in batch if self._is_authentic(each.event) and not _lacks_draw(each.event, in_force)]
        seconds_to_decision = await self._decide([self._pending(each, in_force) for each in deciding], in_force.live)
        results: dict[UUID, HandlerResult] = {}
        unmoved: list[Reported] = []
        for received in batch:
            if received.event.application_id in seconds_to_decision:
                results[received.event.event_id] = Outcome.DONE
            else:
                unmoved.append(received)
        return results | await self._results_of_unmoved(unmoved, in_force) if unmoved else results

    async def warm(self, _: Connection) -> None:
        """Open the connection and have its statement planned: the first application would wait. A startup check.

        Raises:
            Transient: the database is away.
        """
        async with self._connection.use() as connection:
            await queries.write_decisions(connection, (), self._review, self._publish)

    async def close(self) -> None:
        """Close the connection."""
        await self._connection.close()

    def _is_authentic(self, event: CreditReportGenerated) -> bool:
        if event.challenge_draw is not None and not self._mac.is_valid(event.challenge_mac, event.drawn_facts):
            return False
        if event.report_mac is None and self._accept_unsigned:
            return True
        return self._mac.is_valid(event.report_mac, event.facts)

    def _pending(self, received: Reported, in_force: InForce) -> queries.PendingDecision:
        event = received.event
        policy = in_force.policy_of(event.challenge_draw)
        facts = Facts.of(event.cibil_score, event.monthly_income_inr, event.loan_amount_inr, event.loan_type)
        if not self._publish:
            return queries.PendingDecision(event, policy.decide(facts))
        correlation_id = received.header("correlation_id")
        return queries.PendingDecision(event, policy.decide(facts), correlation_id, received.traceparent)

    async def _decide(self, pending: Sequence[queries.PendingDecision], live: Policy) -> dict[UUID, float]:
        """Commit what of `pending` is undecided; returns seconds since acceptance, by application."""
        if not pending:
            return {}
        failpoints.reached(Place.DECISION_BEFORE_COMMIT)
        async with self._connection.use("write_decisions") as connection:
            seconds_to_decision = await queries.write_decisions(connection, pending, self._review, self._publish)
        failpoints.reached(Place.DECISION_AFTER_COMMIT)
        _count(pending, seconds_to_decision, live)
        self._shadow.observe((each for each in pending if each.decision.policy is live), seconds_to_decision)
        return seconds_to_decision

    async def _results_of_unmoved(self, batch: Sequence[Reported], in_force: InForce) -> dict[UUID, HandlerResult]:
        """Why nothing was written for these events; one that could be written now has lost a race."""
        async with self._connection.use("look_up") as connection:
            known = await inbox.look_up(connection, queries.CONSUMER, batch)
        results = {
            received.event.event_id: self._result_of_unmoved(received.event, known[received.event.event_id], in_force)
            for received in batch
        }
        metrics.RETRIES.labels("optimistic_lock").inc(list(results.values()).count(Outcome.LOST_RACE))
        return results

    def _result_of_unmoved(self, event: CreditReportGenerated, known: Known, in_force: InForce) -> HandlerResult:
        if known.digest != event.digest and not self._is_authentic(event):
            return Invalid(
                "invalid_report_mac", "the report does not carry the MAC by which credit-service signs its own"
            )
        if outcome := known.outcome_of(event):
            return outcome
        if _lacks_draw(event, in_force):
            return Invalid(
                "challenge_draw_missing",
                "a challenger of the policy decides a share, and the report lacks the draw that says of whose",
            )
        return Outcome.LOST_RACE


def _lacks_draw(event: CreditReportGenerated, in_force: InForce) -> bool:
    """Whether nobody knows which policy is to decide: where a draw could be taken away, the live one would."""
    return in_force.challenger is not None and event.challenge_draw is None


def _count(
    decisions: Sequence[queries.PendingDecision], seconds_to_decision: Mapping[UUID, float], live: Policy
) -> None:
    for pending in decisions:
        event, decision = pending.event, pending.decision
        if event.application_id in seconds_to_decision:
            decided, rupees = _series(decision.status.value, decision.code, event.loan_type.value)
            decided.inc()
            _series_of_role("live" if decision.policy is live else "challenger", decision.status.value).inc()
            rupees.inc(float(event.loan_amount_inr))
            metrics.DECISION_SECONDS.observe(seconds_to_decision[event.application_id])


@functools.cache
def _series(status: str, reason: str, loan_type: str) -> tuple[Counter, Counter]:
    """The counters of decisions of this kind and of their rupees; a closed set, looked up once each."""
    return metrics.BY_STATUS.labels(status, reason, loan_type), metrics.DECIDED_INR.labels(status, loan_type)


@functools.cache
def _series_of_role(role: str, status: str) -> Counter:
    return metrics.BY_ROLE.labels(role, status)
