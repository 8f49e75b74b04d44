"""The story of one application: when each hop took it, what was decided and why, who saw the PAN, what it waits for.

Invariant: nothing is changed, no key is needed, and no more of a PAN is told than its mask.
"""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from prequal.core.errors import Misconfigured, Transient
from prequal.core.settings import DatabaseSettings, StoresSettings
from prequal.core.topology import GROUPS, topic_of
from prequal.domain.application import Status
from prequal.domain.events import EventType, event_id
from prequal.domain.pan_detection import redact
from prequal.domain.policy import Rule
from prequal.ops import timeline_queries
from prequal.ops.dead_letter import State
from prequal.ops.dead_letters import DeadLetterSelection, FoundDeadLetter, find
from prequal.ops.republish import SESSION
from prequal.ops.timeline_queries import Access, Event, Record
from prequal.schema.version import connected_at_revision

READING_SECONDS = 30.0
"""The outbox has no index by application: a backlog of millions is read through."""

SCORER, DECIDER = "credit-service", "decision-service"
CONSUMERS = {EventType.APPLICATION_SUBMITTED: SCORER, EventType.CREDIT_REPORT_GENERATED: DECIDER}
"""Which service takes which event."""

_REASONS = {
    Rule.SCORE_BELOW_MINIMUM: "score {cibil_score} is below the minimum of {minimum_cibil_score}",
    Rule.INCOME_COVERS_LOAN: (
        "score {cibil_score} reaches the minimum of {minimum_cibil_score}, and {term_months} months of income, "
        "₹{income_over_term_inr}, are more than the loan of ₹{loan_amount_inr}"
    ),
    Rule.INCOME_DOES_NOT_COVER_LOAN: (
        "score {cibil_score} reaches the minimum of {minimum_cibil_score}, but {term_months} months of income, "
        "₹{income_over_term_inr}, are not more than the loan of ₹{loan_amount_inr}"
    ),
}


@dataclass(frozen=True, slots=True)
class Step:
    """Something that happened to the application, and who did it."""

    at: datetime
    service: str
    what: str


@dataclass(frozen=True, slots=True)
class Decided:
    """What was decided, by which rule, from which figures."""

    status: str
    cibil_score: int
    rule: str
    because: str
    measures: dict[str, object]
    policy_version: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """Everything there is to tell. `steps` are in the order of time; `waits_for` is empty once it is decided."""

    application_id: UUID
    status: str
    pan_number_masked: str
    loan_type: str
    monthly_income_inr: str
    loan_amount_inr: str
    request_id: str | None
    trace_id: str | None
    steps: Sequence[Step]
    decision: Decided | None
    pan_accesses: Sequence[Access]
    waits_for: Sequence[str]
    notes: Sequence[str]


def trace(database: DatabaseSettings, kafka: StoresSettings | None, application_id: UUID) -> Timeline:
    """The story of one application. While it is undecided the dead letters are looked through too, given Kafka.

    Raises:
        Misconfigured: there is no such application, or the database is not migrated.
        Transient: the database does not answer. Kafka that does not answer is a note in the story.
    """
    record = asyncio.run(_read(database.database_url, application_id))
    if record is None:
        raise Misconfigured(f"There is no application {application_id}.")
    if record.application["status"] != Status.PENDING:
        return tell(record, [])
    if kafka is None:
        return tell(record, [], ["The dead letters were not looked at: KAFKA_BOOTSTRAP_SERVERS is not set."])
    try:
        return tell(record, _letters(kafka, application_id))
    except (Transient, Misconfigured) as problem:
        return tell(record, [], [f"The dead letters were not looked at: {problem}"])


async def _read(database_url: str, application_id: UUID) -> Record | None:
    session = SESSION | {"statement_timeout": str(int(READING_SECONDS * 1000) - 500)}
    async with connected_at_revision(database_url, "trace", session, READING_SECONDS) as connection:
        return await timeline_queries.read(connection, application_id)


def _letters(kafka: StoresSettings, application_id: UUID) -> list[FoundDeadLetter]:
    """The letters of this application that wait."""
    own = {event_id(event_type, application_id) for event_type in EventType}
    return [
        found
        for found in find(kafka, DeadLetterSelection())
        if found.state is State.WAITING
        and (found.letter.application_id == application_id or found.letter.event_id in own)
    ]


def tell(record: Record, letters: Sequence[FoundDeadLetter], notes: Sequence[str] = ()) -> Timeline:
    """Put the facts in order; pure. `letters` are the application's dead letters that wait."""
    application = record.application
    told = next(iter(record.events), None)
    return Timeline(
        application_id=application["id"],
        status=application["status"],
        pan_number_masked=application["pan_number_masked"],
        loan_type=application["loan_type"],
        monthly_income_inr=str(application["monthly_income_inr"]),
        loan_amount_inr=str(application["loan_amount_inr"]),
        request_id=next((access.request_id for access in record.accesses if access.request_id), None),
        trace_id=_trace_id(told.traceparent) if told else None,
        steps=_steps(record),
        decision=_decision(record),
        pan_accesses=record.accesses,
        waits_for=_waits_for(record, letters) if application["status"] == Status.PENDING else [],
        notes=[*notes, *_forgotten(record)],
    )


def _steps(record: Record) -> list[Step]:
    """In the order of time; what carries the same time, in the order in which it is listed here."""
    application = record.application
    steps = [Step(application["created_at"], "prequal-api", "accepted it and encrypted the PAN")]
    steps += [
        Step(event.published_at, "publisher", f"had told {event.event_type} to Kafka")
        for event in record.events
        if event.published_at is not None
    ]
    steps += [Step(each.at, each.service, "opened the PAN") for each in record.accesses if each.action == "READ"]
    steps += [Step(each.at, each.consumer, "scored it") for each in record.taken if each.consumer == SCORER]
    if record.republication:
        times = record.republication.times
        steps.append(Step(record.republication.last_at, "publisher", f"told its events again ({times} so far)"))
    for act in record.acts:
        reason = f": {redact(act.reason)}" if act.reason else ""
        steps.append(Step(act.at, redact(act.resolved_by), f"{act.action} the dead letter {act.letter}{reason}"))
    if application["status"] != Status.PENDING:
        steps.append(Step(application["updated_at"], DECIDER, f"decided: {application['status']}"))
    return sorted(steps, key=lambda step: step.at)


def _decision(record: Record) -> Decided | None:
    application = record.application
    if application["status"] == Status.PENDING:
        return None
    measures = json.loads(application["decision_measures"])
    rule = application["decision_rule"]
    return Decided(
        status=application["status"],
        cibil_score=application["cibil_score"],
        rule=rule,
        because=because(rule, measures),
        measures=measures,
        policy_version=application["policy_version"],
    )


def because(rule: str, measures: dict[str, object]) -> str:
    """The rule and its figures in a sentence; of a rule that this code does not know, the figures alone."""
    try:
        return _REASONS[Rule(rule)].format_map(measures)
    except (ValueError, KeyError):
        return ", ".join(f"{name} {value}" for name, value in measures.items())


def _waits_for(record: Record, letters: Sequence[FoundDeadLetter]) -> list[str]:
    """What must happen next, from the last event that there is."""
    types = [event_type for event_type in EventType if any(each.event_type == event_type for each in record.events)]
    if not types:
        return ["Its events are neither in the outbox nor in the archive: nothing will tell them."]
    waited = _waits_of(record, types[-1])
    for found in letters:
        letter = found.letter
        waited.append(
            f"The dead letter {letter.id} holds it, {letter.kind}: {letter.words} See `prequal dlq show {letter.id}`."
        )
    return [*waited, _republished(record)]


def _waits_of(record: Record, event_type: EventType) -> list[str]:
    rows = [event for event in record.events if event.event_type == event_type]
    unpublished = [_unpublished(event, record.now) for event in rows if event.published_at is None]
    taker = CONSUMERS[event_type]
    if any(taken.consumer == taker for taken in record.taken):
        return [*unpublished, f"{taker} took {event_type}, and what it made of it is not there yet."]
    told = [event.published_at for event in rows if event.published_at is not None]
    if not told or unpublished:
        return unpublished
    group = GROUPS[topic_of(event_type)]
    return [f"{taker} has not taken {event_type}, told {lasted(record.now - told[0])} ago: how far is {group} behind?"]


def _unpublished(event: Event, now: datetime) -> str:
    again = " again" if event.republished else ""
    if event.place == "parked":
        tries = "one try" if event.attempts == 1 else f"{event.attempts} tries"
        assert event.next_try_at is not None
        return (
            f"{event.event_type} is parked after {tries} to tell it{again}: {redact(event.reason or '')}. "
            f"The next try is due at {moment(event.next_try_at)}."
        )
    return (
        f"{event.event_type} waits in the outbox to be told{again}; it happened {lasted(now - event.created_at)} ago."
    )


def _republished(record: Record) -> str:
    if record.republication is None:
        return "Its events were not told again so far."
    times = "once" if record.republication.times == 1 else f"{record.republication.times} times"
    return f"Its events were told again {times}; the next time is due at {moment(record.republication.next_at)}."


def _forgotten(record: Record) -> list[str]:
    if record.events or record.application["status"] == Status.PENDING:
        return []
    return ["When its events were told is not known any more: the archive keeps them for 7 days."]


def _trace_id(traceparent: str | None) -> str | None:
    parts = (traceparent or "").split("-")
    return parts[1] if len(parts) > 1 else None


def moment(at: datetime) -> str:
    """A point in time as the API spells it."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def lasted(time: timedelta) -> str:
    """A length of time in its two largest units, or in milliseconds when it is short."""
    seconds = max(0.0, time.total_seconds())
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, hours, days = int(seconds // 60), int(seconds // 3600), int(seconds // 86400)
    if hours < 1:
        return f"{minutes} min {int(seconds % 60)} s"
    return f"{hours} h {minutes % 60} min" if days < 1 else f"{days} d {hours % 24} h"
