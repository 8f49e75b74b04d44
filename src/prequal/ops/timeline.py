"""The timeline of one application: its steps, its decision and the reason, the PAN's accesses, and what is due next.

Invariant: nothing is changed, no key is needed, and no more of a PAN is shown than its mask.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import cast
from uuid import UUID

from prequal.core.errors import Misconfigured, Transient, UsageError
from prequal.core.settings import DatabaseSettings, StoresSettings
from prequal.core.topology import ROUTES, Service, group_of
from prequal.domain.application import Status
from prequal.domain.events import EventType
from prequal.domain.pan_detection import redact
from prequal.domain.policy.policy import Policy
from prequal.domain.policy.reasons import explain
from prequal.messaging.event_ids import event_id
from prequal.ops import timeline_queries
from prequal.ops.dead_letter_resolution import DeadLetterSelection, find
from prequal.ops.republish import SESSION
from prequal.ops.request_ids import submitted_by
from prequal.ops.selection import application_id_of
from prequal.ops.stored_dead_letter import DeadLetterState, StoredDeadLetter
from prequal.ops.timeline_queries import CONSUMERS, OutboxEvent, PanAccess, Record, ReviewAct
from prequal.policy_versions.life import policy_of
from prequal.postgres.connections import Connection
from prequal.record.blocks import details_of
from prequal.review.queries import Case
from prequal.schema.version import connected_at_revision

READ_SECONDS = 30.0
"""The outbox has no index by application: a backlog of millions is read through."""

SCORER = ROUTES[EventType.APPLICATION_SUBMITTED].consumer.value
DECIDER = ROUTES[EventType.CREDIT_REPORT_GENERATED].consumer.value
REVIEWERS = "review"
"""People whose names went with the part of the record that was sealed and dropped."""
_REVIEW_ACTS = {
    "review_claimed": "claimed the case",
    "review_note_written": "wrote a note on the case",
    "review_second_look_asked": "asked for a second look at the case",
    "review_voted": "voted {outcome}, {reason}: a second person decides too",
    "review_decided": "decided: {outcome}, {reason}",
}
_UNKNOWN = "not known"
"""Who published what was archived before that was kept."""


_ACKNOWLEDGED = "recorded Kafka's acknowledgement of {} (its consumer may have read it before)"
"""The archive has the time at which the acknowledgement was handled; an effect of the event can be earlier."""


@dataclass(frozen=True, slots=True)
class Step:
    """Something that was done for the application, and by which service or person."""

    at: datetime
    service: str
    what: str


@dataclass(frozen=True, slots=True)
class DecisionRecord:
    """The stored decision: the status, the rule, its reason in words, and the figures that it was taken from."""

    status: str
    cibil_score: int | None
    rule: str
    reason: str
    measures: dict[str, object]
    policy_version: str
    policy_hash: str | None


@dataclass(frozen=True, slots=True)
class Timeline:
    """One application. `steps` are in the order of time; `waits_for` is empty once its status is final."""

    application_id: UUID
    status: str
    pan_number_masked: str
    loan_type: str
    monthly_income_inr: str
    loan_amount_inr: str
    request_id: str | None
    trace_id: str | None
    steps: Sequence[Step]
    decision: DecisionRecord | None
    pan_accesses: Sequence[PanAccess]
    waits_for: Sequence[str]
    notes: Sequence[str]


def trace(database: DatabaseSettings, kafka: StoresSettings | None, id_: UUID | str) -> Timeline:
    """The timeline of one application; while it is undecided the dead letters are searched too, given Kafka.

    Args:
        database: where the application is.
        kafka: where its dead letters are, if they are to be searched.
        id_: the application's id, or the id of the request that submitted it, within 7 days.

    Raises:
        UsageError: there is no such application, or there are several of the request's id; the id of a request that
            was refused, or that repeated an Idempotency-Key, is in the API's log alone.
        Misconfigured: the database is not migrated.
        Transient: the database does not answer. Kafka that does not answer is a note in the timeline.
    """

    async def recorded() -> Record:
        async with connected_to_trace(database) as connection:
            return await read(connection, id_)

    return timeline_of(asyncio.run(recorded()), kafka)


def timeline_of(record: Record, kafka: StoresSettings | None) -> Timeline:
    """The timeline of what was read; it blocks while Kafka is asked for the dead letters of an undecided one."""
    application_id: UUID = record.application["id"]
    if record.application["status"] != Status.PENDING:
        return build_timeline(record, [])
    if kafka is None:
        return build_timeline(record, [], ["The dead letters were not searched: KAFKA_BOOTSTRAP_SERVERS is not set."])
    try:
        return build_timeline(record, _waiting_dead_letters(kafka, application_id))
    except (Transient, Misconfigured) as problem:
        return build_timeline(record, [], [f"The dead letters were not searched: {problem}"])


@asynccontextmanager
async def connected_to_trace(database: DatabaseSettings) -> AsyncIterator[Connection]:
    """A connection that has the time to read through a long outbox. Raises `Misconfigured` and `Transient`."""
    session = SESSION | {"statement_timeout": str(int(READ_SECONDS * 1000) - 500)}
    async with connected_at_revision(database.database_url, "trace", session, READ_SECONDS) as connection:
        yield connection


async def read(connection: Connection, id_: UUID | str) -> Record:
    """Everything that the database holds of an application, by its id or its request's. Raises `UsageError`."""
    application_id = id_ if isinstance(id_, UUID) else application_id_of(id_)
    record = await timeline_queries.read(connection, application_id) if application_id else None
    if record is None and (found := await submitted_by(connection, str(id_))):
        record = await timeline_queries.read(connection, found)
    if record is None:
        raise UsageError(
            f"There is no application {id_}, and no request of this id submitted one within 7 days: a request that was "
            f"refused, or that repeated an Idempotency-Key, is a line `request` in the API's log, with its request_id."
        )
    return replace(record, policy=await _policy(connection, record))


async def _policy(connection: Connection, record: Record) -> Policy | None:
    version = record.application["policy_version"]
    return None if version is None else await policy_of(connection, version, record.application["policy_hash"])


def _waiting_dead_letters(kafka: StoresSettings, application_id: UUID) -> list[StoredDeadLetter]:
    event_ids = {event_id(event_type, application_id) for event_type in ROUTES}
    return [
        each
        for each in find(kafka, DeadLetterSelection())
        if each.state is DeadLetterState.WAITING
        and (each.application_id == application_id or each.event_id in event_ids)
    ]


def build_timeline(record: Record, dead_letters: Sequence[StoredDeadLetter], notes: Sequence[str] = ()) -> Timeline:
    """Put the facts in order; pure. `dead_letters` are those of the application that wait."""
    application = record.application
    first_event = next(iter(record.events), None)
    return Timeline(
        application_id=application["id"],
        status=application["status"],
        pan_number_masked=application["pan_number_masked"],
        loan_type=application["loan_type"],
        monthly_income_inr=str(application["monthly_income_inr"]),
        loan_amount_inr=str(application["loan_amount_inr"]),
        request_id=next((access.request_id for access in record.accesses if access.request_id), None),
        trace_id=_trace_id(first_event.traceparent) if first_event else None,
        steps=_steps(record),
        decision=_decision(record),
        pan_accesses=record.accesses,
        waits_for=_waits_for(record, dead_letters),
        notes=[*notes, *_archive_note(record)],
    )


def _steps(record: Record) -> list[Step]:
    """In the order of time; steps of the same time in the order in which they are added here."""
    application = record.application
    steps = [Step(application["created_at"], Service.API.value, "accepted it and encrypted the PAN")]
    steps += [
        Step(event.published_at, event.published_by or _UNKNOWN, _ACKNOWLEDGED.format(event.event_type))
        for event in record.events
        if event.published_at is not None
    ]
    steps += [Step(each.at, each.service, "decrypted the PAN") for each in record.accesses if each.action == "READ"]
    steps += [Step(each.at, each.consumer, _scored(record)) for each in record.processed if each.consumer == SCORER]
    if record.republication:
        times = record.republication.times
        steps.append(
            Step(record.republication.last_at, Service.PUBLISHER.value, f"republished its events ({times} so far)")
        )
    for each in record.resolved:
        reason = f": {redact(each.reason)}" if each.reason else ""
        steps.append(Step(each.at, redact(each.resolved_by), f"{each.action} the dead letter {each.id}{reason}"))
    return sorted(steps + _decisions(record), key=lambda step: step.at)


def _decisions(record: Record) -> list[Step]:
    """The policy's, and what people did where it left the application to them."""
    application = record.application
    if application["status"] == Status.PENDING:
        return []
    if application["opened_at"] is None:
        return [Step(application["updated_at"], DECIDER, f"decided: {application['status']}")]
    steps = [Step(application["opened_at"], DECIDER, f"decided: {Status.MANUAL_REVIEW}")]
    steps += [Step(act.at, act.person, _done_in_review(act)) for act in record.reviewed if act.action in _REVIEW_ACTS]
    if application["outcome"] and not any(act.action == "review_decided" for act in record.reviewed):
        outcome = f"decided: {application['outcome']}, {application['reason']}"
        steps.append(Step(application["updated_at"], REVIEWERS, outcome))
    return steps


def _done_in_review(act: ReviewAct) -> str:
    try:
        return _REVIEW_ACTS[act.action].format_map(cast("Mapping[str, object]", details_of(act.details)))
    except (KeyError, TypeError):
        return f"{act.action.replace('_', ' ')}; its details are not as they were written: `prequal audit verify`"


def _scored(record: Record) -> str:
    scored = "found no file at the bureau" if _has_no_file(record) else "scored it"
    age: int | None = record.application["report_age_seconds"]
    if age is None:
        return scored
    return f"{scored}, by a kept report that was {format_duration(timedelta(seconds=age))} old"


def _has_no_file(record: Record) -> bool:
    """Whether it was decided without a score; while it is undecided, only its report knows."""
    return record.application["status"] != Status.PENDING and record.application["cibil_score"] is None


def _decision(record: Record) -> DecisionRecord | None:
    application = record.application
    if application["status"] == Status.PENDING:
        return None
    measures = json.loads(application["decision_measures"])
    rule, version = application["decision_rule"], application["policy_version"]
    return DecisionRecord(
        status=application["status"],
        cibil_score=application["cibil_score"],
        rule=rule,
        reason=explain(record.policy, rule, measures).sentence,
        measures=measures,
        policy_version=version,
        policy_hash=hash_.hex() if (hash_ := application["policy_hash"]) else None,
    )


def _waits_for(record: Record, dead_letters: Sequence[StoredDeadLetter]) -> list[str]:
    """What is due next: for a case of people, whose it is; for the undecided, from the last event that there is."""
    if record.application["status"] != Status.PENDING:
        return [_waits_for_people(record.case)] if record.case and not record.case.outcome else []
    types = [event_type for event_type in ROUTES if any(each.event_type == event_type for each in record.events)]
    if not types:
        return ["Its events are neither in the outbox nor in the archive: nothing will publish them."]
    dead = [
        f"The dead letter {each.id} holds it, {each.kind}: {each.error_message} See `prequal dlq show {each.id}`."
        for each in dead_letters
    ]
    return [*_waits_for_event(record, types[-1]), *dead, _republication(record)]


def _waits_for_people(case: Case) -> str:
    who = "two people decide it" if case.people_needed == 2 else "one person decides it"
    claim = "nobody has claimed it"
    if case.is_claimed and case.lease_until:
        claim = f"{case.claimed_by} has claimed it until {format_time(case.lease_until)}"
    return f"Review: {who}, by {format_time(case.target_at)}; {claim}."


def _waits_for_event(record: Record, event_type: EventType) -> list[str]:
    rows = [event for event in record.events if event.event_type == event_type]
    unpublished = [_unpublished(event, record.now) for event in rows if event.published_at is None]
    consumer = CONSUMERS[event_type]
    if any(each.consumer == consumer for each in record.processed):
        return [*unpublished, f"{consumer} has consumed {event_type}, and its effect is not there yet."]
    published = [event.published_at for event in rows if event.published_at is not None]
    if not published or unpublished:
        return unpublished
    ago = format_duration(record.now - published[0])
    return [
        f"{consumer} has not consumed {event_type}, published {ago} ago: look at the lag of {group_of(event_type)}."
    ]


def _unpublished(event: OutboxEvent, now: datetime) -> str:
    verb = "republish" if event.republished else "publish"
    if event.place == "parked":
        tries = "one try" if event.attempts == 1 else f"{event.attempts} tries"
        assert event.next_try_at is not None
        return (
            f"{event.event_type} is parked after {tries} to {verb} it: {redact(event.reason or '')}. "
            f"The next try is due at {format_time(event.next_try_at)}."
        )
    age = format_duration(now - event.created_at)
    return f"{event.event_type} waits in the outbox to be {verb}ed; it is {age} old."


def _republication(record: Record) -> str:
    if record.republication is None:
        return "Its events were not republished so far."
    times = "once" if record.republication.times == 1 else f"{record.republication.times} times"
    return f"Its events were republished {times}; the next time is due at {format_time(record.republication.next_at)}."


def _archive_note(record: Record) -> list[str]:
    if record.events or record.application["status"] == Status.PENDING:
        return []
    return ["When its events were published is not known any more: the archive keeps them for 7 days."]


def _trace_id(traceparent: str | None) -> str | None:
    parts = (traceparent or "").split("-")
    return parts[1] if len(parts) > 1 else None


def format_time(at: datetime) -> str:
    """A point in time as the API spells it."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def format_duration(time: timedelta) -> str:
    """A duration in its two largest units, or in milliseconds when it is short."""
    seconds = max(0.0, time.total_seconds())
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, hours, days = int(seconds // 60), int(seconds // 3600), int(seconds // 86400)
    if hours < 1:
        return f"{minutes} min {int(seconds % 60)} s"
    return f"{hours} h {minutes % 60} min" if days < 1 else f"{days} d {hours % 24} h"
