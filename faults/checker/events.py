"""I3: seen downstream after de-duplication, exactly one event of each type an application, in causal order.

Invariant: raw duplicates are no violation; two facts under one id, or one fact under two ids, are.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from faults.checker.evidence import FINAL, Application, Evidence, Record, Violation, found
from harness import oracle
from harness.journal import Fault
from harness.topics import REPORTED, SUBMITTED

TIMES = {SUBMITTED: "created_at", REPORTED: "generated_at"}
NOT_FACTS = frozenset({*TIMES.values(), "pan_number_encrypted"})
"""What may differ between two publications of one fact: its time, and the PAN's ciphertext, which may be renewed."""


@dataclass(frozen=True, slots=True)
class Event:
    """A record that is an event of ours."""

    topic: str
    application_id: str
    event_id: str
    key: str
    header: str | None
    fields: Mapping[str, Any]
    appended_ms: int | None = None

    @property
    def at(self) -> datetime:
        """When the fact came about, by the database."""
        return datetime.fromisoformat(self.fields[TIMES[self.topic]])


def violations(evidence: Evidence) -> list[Violation]:
    """What a reader of the topics would find wrong."""
    published, unreadable = _events(evidence)
    by_application: defaultdict[tuple[str, str], dict[str, Event]] = defaultdict(dict)
    for event in published:
        by_application[event.topic, event.application_id].setdefault(event.event_id, event)
    return [
        *found("I3", "is no event", unreadable),
        *(violation for topic in TIMES for violation in _missing(evidence, topic, by_application)),
        *found(
            "I3",
            "has several events of one type",
            [ids[1] for ids, events in by_application.items() if len(events) > 1],
        ),
        *found("I3", "is published with different content under one event id", _contradictory(published)),
        *found("I3", "has one event id for several facts", _shared_ids(published)),
        *found("I3", "is published otherwise than it is stored", _untrue(published, evidence.applications)),
        *found("I3", "has its events out of causal order", _out_of_order(evidence, by_application)),
        *found("I3", "was reported on its topic before it was submitted on its own", _overtaken(evidence, published)),
        *found("I3", "is archived more than once", _archived_again(evidence)),
    ]


def raw_duplicates(evidence: Evidence) -> int:
    """How many records repeat an event that a topic holds already: allowed, and proof that a crash bit."""
    published, _ = _events(evidence)
    return len(published) - len({(event.topic, event.event_id) for event in published})


def _events(evidence: Evidence) -> tuple[list[Event], list[str]]:
    published, unreadable = [], []
    for record in evidence.published():
        try:
            published.append(_event(record))
        except (KeyError, TypeError, ValueError):
            unreadable.append(f"{record.topic} {record.partition} {record.offset}")
    return published, unreadable


def _event(record: Record) -> Event:
    fields = record.fields() or {}
    header = dict(record.headers).get("event_id")
    event = Event(
        record.topic,
        fields["application_id"],
        fields["event_id"],
        (record.key or b"").decode(),
        None if header is None else header.decode(),
        fields,
        record.appended_ms,
    )
    if event.at.tzinfo is None:
        raise ValueError("a time without a zone")
    return event


def _missing(
    evidence: Evidence, topic: str, by_application: Mapping[tuple[str, str], Mapping[str, Event]]
) -> list[Violation]:
    """Applications of this run without an event, unless the topic lost what it held of them.

    What was published between the fault's begin and its restore is lost with the rest: there was no new topic yet.
    """
    everyone = {one.id for one in evidence.of_this_run()}
    silent = {id_ for id_ in everyone - _lost(evidence, topic) if (topic, id_) not in by_application}
    return found("I3", f"has no event in {topic}", silent)


def _lost(evidence: Evidence, topic: str) -> set[str]:
    """Applications whose event was published before its topic lost what it held."""
    faults = evidence.of(Fault)
    losses = {fault.name for fault in faults if topic in fault.lost}
    lost_at = max(
        (fault.at for fault in faults if fault.name in losses and fault.stage in ("begin", "restore")), default=0.0
    )
    return {
        row.application_id
        for row in evidence.outbox
        if row.topic == topic and row.published_at is not None and row.published_at.timestamp() <= lost_at
    }


def _contradictory(published: list[Event]) -> set[str]:
    first: dict[str, Mapping[str, Any]] = {}
    return {
        event.application_id
        for event in published
        if (facts := _facts(event)) != first.setdefault(event.event_id, facts)
    }


def _facts(event: Event) -> dict[str, Any]:
    return {"topic": event.topic} | {name: value for name, value in event.fields.items() if name not in NOT_FACTS}


def _shared_ids(published: list[Event]) -> Iterator[str]:
    bearers: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)
    for event in published:
        bearers[event.event_id].add((event.topic, event.application_id))
    return (event_id for event_id, facts in bearers.items() if len(facts) > 1)


def _untrue(published: list[Event], applications: Mapping[str, Application]) -> set[str]:
    return {event.application_id for event in published if not _is_true(event, applications.get(event.application_id))}


def _is_true(event: Event, row: Application | None) -> bool:
    """Whose application is not there is a phantom, and not judged here."""
    if event.key != event.application_id or event.header not in (None, event.event_id):
        return False
    return row is None or (
        event.fields.get("pan_number_hash") == row.pan_number_hash
        and event.fields.get("loan_type") == row.loan_type
        and _paise(event.fields.get("monthly_income_inr")) == oracle.paise(row.monthly_income_inr)
        and _paise(event.fields.get("loan_amount_inr")) == oracle.paise(row.loan_amount_inr)
        and (event.topic == SUBMITTED or row.cibil_score in (None, event.fields.get("cibil_score")))
    )


def _paise(value: object) -> int | None:
    try:
        return oracle.paise(str(value))
    except (AssertionError, ValueError):
        return None


def _out_of_order(evidence: Evidence, by_application: Mapping[tuple[str, str], Mapping[str, Event]]) -> Iterator[str]:
    """Submission, report, decision: each committed before the next one's transaction began."""
    for id_, row in evidence.applications.items():
        submitted = [event.at for event in by_application.get((SUBMITTED, id_), {}).values()]
        reported = [event.at for event in by_application.get((REPORTED, id_), {}).values()]
        too_early = any(at <= row.created_at for at in reported)
        too_late = row.status in FINAL and any(at >= row.updated_at for at in reported)
        if too_early or too_late or any(at != row.created_at for at in submitted):
            yield id_


def _overtaken(evidence: Evidence, published: list[Event]) -> Iterator[str]:
    """By the broker's clock, each first publication; what was republished because its topic was lost has no order."""
    first: dict[tuple[str, str], int] = {}
    for event in published:
        if event.appended_ms is not None:
            place = event.topic, event.application_id
            first[place] = min(event.appended_ms, first.get(place, event.appended_ms))
    lost = _lost(evidence, SUBMITTED)
    for (topic, id_), appended_ms in first.items():
        if topic == REPORTED and id_ not in lost and appended_ms < first.get((SUBMITTED, id_), 0):
            yield id_


def _archived_again(evidence: Evidence) -> Iterator[str]:
    """An event that was written twice: its effect was had twice, and only the stable id hides it downstream."""
    times = Counter((row.application_id, row.event_id) for row in evidence.outbox if row.table == "outbox_archive")
    return (application_id for (application_id, _), count in times.items() if count > 1)
