"""Assess submitted applications: open the PAN, ask the bureau, tell the score.

Invariant: a PAN is opened only after the record of it is committed, and not at all for what is settled already.
"""

from collections.abc import Sequence

from prequal.core import failpoints
from prequal.core.errors import Invalid, UnknownKey
from prequal.core.failpoints import Place
from prequal.credit import queries
from prequal.domain.events import EventType, event_id
from prequal.domain.scoring import cibil_score
from prequal.messaging import inbox
from prequal.messaging.events import ApplicationSubmitted, report_body
from prequal.messaging.handler import HandlerResult, Outcome
from prequal.messaging.messages import Received
from prequal.messaging.outbox_notifier import OutboxNotifier
from prequal.postgres.connections import SingleConnection
from prequal.security.pan_encryption import KeyRing
from prequal.telemetry import metrics

Submitted = Received[ApplicationSubmitted]


class CreditHandler:
    """Where submitted applications are scored, a batch in two commits: the record first, then the effect."""

    event_class = ApplicationSubmitted

    def __init__(self, link: SingleConnection, keys: KeyRing, notifier: OutboxNotifier) -> None:
        self._link = link
        self._keys = keys
        self._notifier = notifier

    async def settle(self, batch: Sequence[Submitted]) -> list[HandlerResult]:
        """Score what is new and tell it; see `messaging.handler.Handler`."""
        results = await self._before_opening(batch)
        fresh = [received for received, verdict in zip(batch, results, strict=True) if verdict is None]
        effects = dict(zip(map(id, fresh), await self._assess(fresh) if fresh else [], strict=True))
        return [effects.get(id(received), verdict) for received, verdict in zip(batch, results, strict=True)]

    async def close(self) -> None:
        """Let the connection go."""
        await self._link.close()

    async def _before_opening(self, batch: Sequence[Submitted]) -> list[HandlerResult]:
        async with self._link.use("look_up") as connection:
            known = await inbox.look_up(connection, queries.CONSUMER, [received.event for received in batch])
        return [
            facts.settled(received.event) or self._key_trouble(received)
            for received, facts in zip(batch, known, strict=True)
        ]

    def _key_trouble(self, received: Submitted) -> HandlerResult:
        try:
            self._keys.require_key(received.event.pan_number_encrypted)
        except (Invalid, UnknownKey) as trouble:
            return trouble
        return None

    async def _assess(self, fresh: Sequence[Submitted]) -> list[HandlerResult]:
        async with self._link.use("record_reads") as connection:
            failpoints.reached(Place.CREDIT_BEFORE_RECORD)
            reads = [(received.event.application_id, received.header("correlation_id")) for received in fresh]
            await queries.record_reads(connection, reads)
        failpoints.reached(Place.CREDIT_AFTER_RECORD)
        scored = [self._score(received) for received in fresh]
        reports = [report for report in scored if isinstance(report, queries.Report)]
        failpoints.reached(Place.CREDIT_BEFORE_COMMIT)
        async with self._link.use("append_reports") as connection:
            told = await queries.append_reports(connection, reports) if reports else set()
        failpoints.reached(Place.CREDIT_AFTER_COMMIT)
        self._notifier.ring()
        for report in reports:
            if report.submitted_event_id in told:
                metrics.SCORE.observe(report.cibil_score)
        # What another consumer remembered in between is looked at once more, and found a duplicate.
        return [
            report if isinstance(report, Invalid) else Outcome.DONE if report.submitted_event_id in told else None
            for report in scored
        ]

    def _score(self, received: Submitted) -> queries.Report | Invalid:
        event = received.event
        try:
            pan = self._keys.open(event.pan_number_encrypted, event.application_id)
        except Invalid as invalid:
            return invalid
        metrics.PAN_DECRYPTS.inc()
        score = cibil_score(event.application_id, pan, event.monthly_income_inr, event.loan_type)
        return queries.Report(
            submitted_event_id=event.event_id,
            digest=event.digest,
            event_id=event_id(EventType.CREDIT_REPORT_GENERATED, event.application_id),
            application_id=event.application_id,
            cibil_score=score,
            body=report_body(event, score),
            correlation_id=received.header("correlation_id"),
            traceparent=received.traceparent,
        )
