"""Assess submitted applications: decrypt the PAN, ask the bureau, report the score.

Invariant: a PAN is decrypted only after the record of it is committed, and not at all for an event that was handled
before or that a kept report answers.
"""

import asyncio
from collections.abc import Container, Sequence
from dataclasses import dataclass
from uuid import UUID
from weakref import WeakKeyDictionary

from prequal.core import failpoints
from prequal.core.errors import Invalid, UnknownKey
from prequal.core.failpoints import Place
from prequal.credit import kept_reports, queries
from prequal.credit.bureau import Bureau, Score
from prequal.credit.kept_reports import KeptReport, UsedReport
from prequal.domain.events import EventType
from prequal.messaging.event_ids import event_id
from prequal.messaging.events import ApplicationSubmitted, CreditReportGenerated
from prequal.messaging.handler import Awaiting, HandlerResult, Outcome
from prequal.messaging.messages import Received
from prequal.messaging.outbox import OutboxRow
from prequal.messaging.own_event_publisher import OwnEventPublisher
from prequal.messaging.report_mac import ReportMac
from prequal.postgres.connections import Connection, SingleConnection
from prequal.security.draws import ChallengeDraws
from prequal.security.pan_encryption import KeyRing
from prequal.telemetry import metrics

Submitted = Received[ApplicationSubmitted]


@dataclass(frozen=True, slots=True)
class Scored:
    """An application's score, its PAN's draw where it is known, and the age in seconds of a report used again."""

    received: Submitted
    score: Score
    challenge_draw: int | None
    age_seconds: int | None = None

    @property
    def used_report(self) -> UsedReport:
        """The report by which the application is decided."""
        return UsedReport(self.received.event.application_id, self.score, self.challenge_draw, self.age_seconds)


class CreditHandler:
    """Scores submitted applications, a batch in two commits: the record of the decryptions first, then the reports."""

    event_class = ApplicationSubmitted

    def __init__(
        self,
        connection: SingleConnection,
        keys: KeyRing,
        bureau: Bureau,
        mac: ReportMac,
        challenges: ChallengeDraws,
        events: OwnEventPublisher,
        report_max_age_seconds: float = 0,
    ) -> None:
        """Ask `bureau`, unless a report that is younger than `report_max_age_seconds` is kept; 0 keeps none."""
        self._connection = connection
        self._keys = keys
        self._bureau = bureau
        self._mac = mac
        self._challenges = challenges
        self._drawn: WeakKeyDictionary[asyncio.Future[Score], int] = WeakKeyDictionary()
        """The draw of each application whose score is awaited: when the score comes, the PAN is gone."""
        self._events = events
        self._max_age_seconds = report_max_age_seconds

    async def handle(self, batch: Sequence[Submitted]) -> dict[UUID, HandlerResult]:
        """Score what is new and report it; see `messaging.handler.Handler`."""
        unasked = [received for received in batch if _answer_of(received) is None]
        scored = [
            Scored(received, answer.result(), self._drawn.get(answer))
            for received in batch
            if (answer := _answer_of(received))
        ]
        kept = await self._kept(unasked)
        results = await self._record_decryptions(unasked, kept) if unasked else {}
        fresh = [received for received in unasked if received.event.event_id not in results]
        for received in fresh:
            report = kept.get(received.event.event_id)
            said = self._ask(received) if report is None else Scored(received, *report)
            if isinstance(said, Scored):
                scored.append(said)
            else:
                results[received.event.event_id] = said
        return results | await self._report(scored) if scored else results

    async def warm(self, _: Connection) -> None:
        """Open the connection and have its statements planned: the first application would wait. A startup check.

        Raises:
            Transient: the database is away.
        """
        async with self._connection.use() as connection:
            await queries.record_decryptions(connection, ())
            await queries.append_reports(connection, (), self._mac.key_id)

    async def close(self) -> None:
        """Close the connections."""
        await self._bureau.close()
        await self._connection.close()

    async def _kept(self, batch: Sequence[Submitted]) -> dict[UUID, KeptReport]:
        """The kept reports that are young enough, by event id."""
        if not batch or not self._max_age_seconds:
            return {}
        async with self._connection.use("kept_reports") as connection:
            return await kept_reports.find(connection, [received.event for received in batch], self._max_age_seconds)

    async def _record_decryptions(self, batch: Sequence[Submitted], kept: Container[UUID]) -> dict[UUID, HandlerResult]:
        """Commit the record of the PANs to be decrypted, which those with a kept report are not.

        Returns the results of the other events.
        """
        errors = {
            received.event.event_id: None if received.event.event_id in kept else self._key_error(received)
            for received in batch
        }
        decryptions = [
            queries.Decryption(
                received.event,
                received.event.event_id not in kept and errors[received.event.event_id] is None,
                received.header("correlation_id"),
            )
            for received in batch
        ]
        failpoints.reached(Place.CREDIT_BEFORE_RECORD)
        async with self._connection.use("record_decryptions") as connection:
            known = await queries.record_decryptions(connection, decryptions)
        failpoints.reached(Place.CREDIT_AFTER_RECORD)
        outcomes = {each.event.event_id: known[each.event.event_id].outcome_of(each.event) for each in decryptions}
        results = {id_: result or errors[id_] for id_, result in outcomes.items()}
        return {id_: result for id_, result in results.items() if result is not None}

    def _key_error(self, received: Submitted) -> Invalid | UnknownKey | None:
        try:
            self._keys.require_key(received.event.pan_number_encrypted)
        except (Invalid, UnknownKey) as error:
            return error
        return None

    def _ask(self, received: Submitted) -> Scored | Awaiting | Invalid:
        """Decrypt the PAN, draw for it and ask the bureau about it."""
        try:
            pan = self._keys.decrypt(received.event.pan_number_encrypted, received.event.application_id)
        except Invalid as invalid:
            return invalid
        metrics.PAN_DECRYPTS.inc()
        answer, draw = self._bureau.ask(received.event, pan), self._challenges.draw(pan)
        if isinstance(answer, asyncio.Future):
            self._drawn[answer] = draw
            return Awaiting(answer)
        return Scored(received, answer, draw)

    async def _report(self, scored: Sequence[Scored]) -> dict[UUID, HandlerResult]:
        appended = await self._append(scored)
        # An event that another consumer handled in between has lost a race: the next round finds it a duplicate.
        for each in scored:
            if each.received.event.event_id not in appended:
                each.received.answer = None  # or it would be reported once more, and lose again
        ids = [each.received.event.event_id for each in scored]
        return {id_: Outcome.DONE if id_ in appended else Outcome.LOST_RACE for id_ in ids}

    async def _append(self, scored: Sequence[Scored]) -> set[UUID]:
        """Commit the reports to the outbox; returns the ids of the events that were not handled before."""
        failpoints.reached(Place.CREDIT_BEFORE_COMMIT)
        reports = list(map(self._report_of, scored))
        async with self._connection.use("append_reports") as connection:
            if not self._max_age_seconds:
                rows = await queries.append_reports(connection, reports, self._mac.key_id)
            else:
                async with connection.transaction():
                    rows = await queries.append_reports(connection, reports, self._mac.key_id)
                    await kept_reports.keep(connection, [each.used_report for each in _appended(scored, rows)])
        failpoints.reached(Place.CREDIT_AFTER_COMMIT)
        self._events.publish(rows)
        appended = _appended(scored, rows)
        _count(appended)
        return {each.received.event.event_id for each in appended}

    def _report_of(self, scored: Scored) -> queries.Report:
        received, event = scored.received, scored.received.event
        return queries.Report(
            event_id=event.event_id,
            digest=event.digest,
            report_id=event_id(EventType.CREDIT_REPORT_GENERATED, event.application_id),
            application_id=event.application_id,
            body=self._body(event, scored),
            correlation_id=received.header("correlation_id"),
            traceparent=received.traceparent,
        )

    def _body(self, event: ApplicationSubmitted, scored: Scored) -> str:
        return CreditReportGenerated.body(
            event.application_id,
            self._mac.make,
            challenge_draw=scored.challenge_draw,
            pan_number_hash=event.pan_number_hash,
            monthly_income_inr=event.monthly_income_inr,
            loan_amount_inr=event.loan_amount_inr,
            loan_type=event.loan_type,
            cibil_score=scored.score,
            client=event.client,
        )


def _appended(scored: Sequence[Scored], rows: Sequence[OutboxRow]) -> list[Scored]:
    """Those whose reports are the rows that were appended."""
    applications = {row.application_id for row in rows}
    return [each for each in scored if each.received.event.application_id in applications]


def _count(scored: Sequence[Scored]) -> None:
    for each in scored:
        if each.score is not None:
            metrics.SCORE.observe(each.score)
        if each.age_seconds is not None:
            metrics.BUREAU_REUSED.inc()


def _answer_of(received: Submitted) -> asyncio.Future[Score] | None:
    """The bureau's answer that the event waited for, unless it was given up."""
    answer = received.answer
    if answer is None or answer.cancelled():
        return None
    if answer.exception() is not None:  # raised here; the next try asks once more
        received.answer = None
    return answer
