"""Messages that can never succeed: single ones of every kind, and nothing but them.

Invariant: what is poured in is written down, so that the checker takes none of it for an event of the service.
"""

import functools
import json
import uuid
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from confluent_kafka import Message

from faults.plan import SHORT, Post, Volume, plan
from faults.scenario import Run, Spoilt, scenario
from faults.systems import with_publisher_alone
from harness import keys, reports
from harness.broker import REPORTED, SUBMITTED, SUBMITTED_DLQ, RawMessage, headers_of
from harness.journal import Planted
from prequal.core.failpoints import Place
from prequal.core.topology import ROUTES, dead_letter_topic
from prequal.domain.events import EventType
from prequal.messaging.event_ids import event_id

FLOOD: Final = 200
IN_A_ROW: Final = 50
"""After how many the consumer stops, by default."""
LARGE_BYTES: Final = 900_000
BROKEN_AT_ONCE: Final = 3
DEAD_LETTERS: Final = 3
DEATH_SECONDS: Final = 20.0
CONSUMERS: Final = {"credit": SUBMITTED, "decision": REPORTED}
EVENT_OF: Final = {route.topic: event for event, route in ROUTES.items()}
PASSAGES: Final = 60
"""More than three messages make in four tries each."""

Lies: TypeAlias = tuple[int, int]
"""Where a message lies: partition and offset."""


@dataclass(frozen=True)
class Poison:
    """A message, and the kind of error for which it is to become a dead letter."""

    kind: str
    value: bytes | None
    key: str


@scenario(14, "poison", own_system=True, opens=with_publisher_alone)
def poison(run: Run) -> None:
    """Everything that was ever found on a topic comes down both; its neighbours do not wait for it."""
    with run.fault(killed=("publisher",)) as fault:
        events = _events_held_back(run)
        before = {SUBMITTED: _about_the_undecided(events), REPORTED: _about_the_unreported(run, events[0])}
        places = {topic: pour(run, poison, topic) for topic, poison in before.items()}
        run.demand_soon(lambda: _dead_by_place(run) == _counts(places), 20, "they did not become dead letters")
        fault.restore()
        run.system.thaw("publisher")
    run.demand_soon(run.is_quiet, 20, "what was held back was not decided")
    run.load()
    run.some_moment()
    for topic, decided in {SUBMITTED: events[0], REPORTED: _report_of(run, events[0])}.items():
        places[topic] |= pour(run, _of_every_kind(run, decided, EVENT_OF[topic]), topic)
    run.come_to_rest()
    for topic, poured in places.items():
        _tells_where_and_why(run, topic, poured)
    held_back = {event["application_id"] for event in events}
    run.demand_normal_time(held_back)
    # The ciphertext is no part of the fact: with its application decided, such a message is a mere duplicate.
    known = sum(each.kind == "tampered_token" for each in places[SUBMITTED].values())
    _come_back(run, [2 * count for count in _counts(places)], known)


@scenario(14, "unknown-bug", volume=SHORT, own_system=True)
def unknown_bug(run: Run) -> None:
    """The code fails for some messages: after their tries they are dead letters, replayed once it is restored."""
    with run.fault():
        run.system.arm("credit", ",".join(f"credit.before_commit=fail@{number}" for number in range(1, PASSAGES + 1)))
        run.send([Post(0.0, post.body, post.key) for post in _different(run, BROKEN_AT_ONCE)])
        run.demand_soon(lambda: _waiting_dead_letters(run) == BROKEN_AT_ONCE, 30, "they did not become dead letters")
        run.system.arm("credit", "")
    run.load()
    _replay(run, "--reason", "unexpected_error")
    run.come_to_rest()
    again = run.system.prequal("dlq", "replay", "--all", "--json")
    run.demand(json.loads(again.stdout)["replayed"] == [], f"something was replayed twice: {again.stdout}")


@scenario(15, "nothing-but-poison", own_system=True)
def nothing_but_poison(run: Run) -> None:
    """A bad deploy floods the topic: the consumer stops, and goes on when somebody lets it."""
    run.load(SHORT)
    run.some_moment()
    poison = [Poison("malformed_json", b"{ not json", f"flood-{number}") for number in range(FLOOD)]
    with run.fault(troubled=("credit",)):
        run.sent()
        run.demand_soon(run.is_quiet, 20, "not at rest before the flood")
        pour(run, poison)
        run.demand_soon(lambda: run.system.metric("credit", "consumer_stopped") == 1, 20, "the consumer did not stop")
        run.demand_soon(lambda: run.says("credit", "in a row"), 10, "credit did not say that it has stopped")
        run.load(Volume(20, 20))
        run.sent()
        run.wait(2)
        held = run.system.broker.published(SUBMITTED_DLQ)
        run.demand(IN_A_ROW <= held < FLOOD, f"{held} dead letters of {FLOOD} when {IN_A_ROW} in a row are too many")
        run.demand(run.system.broker.lag() > 0, "nothing was left on the topic")
        with run.fault(killed=("credit",)) as fault:
            run.system.terminate("credit")
            fault.restore()
            run.system.start("credit", DEAD_LETTERS_IN_A_ROW_MAX=str(FLOOD * 10))
    run.come_to_rest()
    held = run.system.broker.published(SUBMITTED_DLQ)
    # What was a dead letter and not yet committed when it was stopped may become one again.
    run.demand(FLOOD <= held <= FLOOD + IN_A_ROW, f"{held} dead letters of {FLOOD}")


@scenario(16, "killed-after-dead-letter", volume=SHORT, own_system=True)
def killed_after_dead_letter(run: Run) -> None:
    """A consumer dies when its dead letter is on its topic and the offset is not stored: it is there, perhaps twice."""
    for service, topic in CONSUMERS.items():
        run.load()
        run.some_moment()
        poison = [Poison("malformed_json", b"{ not json", f"{service}-{number}") for number in range(DEAD_LETTERS)]
        with run.fault(killed=(service,)) as fault:
            run.system.arm(service, f"{Place.CONSUMER_AFTER_DEAD_LETTER}=die@{run.chance.randint(1, DEAD_LETTERS)}")
            places = pour(run, poison, topic)
            if run.system.exit_code(service, DEATH_SECONDS) is None:
                raise Spoilt(f"{service} lives")
            fault.restore()
            run.system.start(service)
        run.sent()
        run.demand_soon(run.is_quiet, 30, f"not at rest after the death of {service}")
        _all_published_as_dead_letters(run, topic, places)
    run.come_to_rest()


def pour(run: Run, poison: list[Poison], topic: str = SUBMITTED) -> dict[Lies, Poison]:
    """Tell them, and write down where they lie; which lies where."""
    before = run.system.broker.published(topic)
    messages = [RawMessage(each.value, each.key.encode(), [("poison", each.key)]) for each in poison]
    run.system.broker.publish(topic, messages)
    by_name = {each.key: each for each in poison}
    places = {}
    for message in run.system.broker.read(topic, before + len(poison)):
        if (name := headers_of(message).get("poison")) in by_name:
            place = message.partition() or 0, message.offset() or 0
            run.journal.write(Planted(topic, *place))
            places[place] = by_name[name]
    return places


def _different(run: Run, count: int) -> list[Post]:
    drawn = plan(f"{run.scenario.name}/{run.seed}/poison", Volume(count * 4, 1))
    return [post for post in drawn if post.kind == "fresh"][:count]


def _events_held_back(run: Run) -> list[dict[str, Any]]:
    """Three events of applications that wait, because the publisher is frozen."""
    run.system.freeze("publisher")
    run.send([Post(0.0, post.body, post.key) for post in _different(run, 3)])
    run.demand_soon(lambda: run.system.database.count("outbox_events") >= 3, 10, "the outbox does not hold them")
    return [row["event"] for row in run.system.database.rows("SELECT payload::jsonb AS event FROM outbox_events")]


def _about_the_undecided(events: list[dict[str, Any]]) -> list[Poison]:
    first, second, third = events
    encrypted = first["pan_number_encrypted"]
    return [
        Poison("tampered_token", _changed(first, pan_number_encrypted=_flipped(encrypted)), "flipped-bit"),
        Poison("tampered_token", _changed(second, pan_number_encrypted=encrypted), "another-ones-token"),
        Poison("contradicts_application", _changed(third, loan_amount_inr="1.00"), "another-body"),
    ]


def _about_the_unreported(run: Run, submitted: Mapping[str, Any]) -> list[Poison]:
    """Reports of an undecided application: two that credit-service did not make, one of another amount than its own."""
    application_id = submitted["application_id"]
    facts = {
        "event_id": str(event_id(EventType.CREDIT_REPORT_GENERATED, uuid.UUID(application_id))),
        "cibil_score": 900,
        "generated_at": submitted["created_at"],
    }
    left_out = ("pan_number_encrypted", "created_at")
    body = {name: value for name, value in submitted.items() if name not in left_out} | facts
    return [
        Poison("invalid_report_mac", _changed(body), "unsigned-report"),
        Poison("invalid_report_mac", _changed(body, report_mac=reports.mac(bytes(32), body)), "report-of-a-forger"),
        Poison("contradicts_application", _signed(run, body, loan_amount_inr="1.00"), "report-of-another-body"),
    ]


def _report_of(run: Run, submitted: Mapping[str, Any]) -> dict[str, Any]:
    """What its topic tells of an application's score."""
    key = submitted["application_id"].encode()
    (value, *_) = [one.value() for one in run.system.broker.read(REPORTED, 1) if one.key() == key and _is_event(one)]
    report: dict[str, Any] = json.loads(value or b"")
    return report


def _is_event(message: Message) -> bool:
    return "poison" not in headers_of(message)


def _of_every_kind(run: Run, decided: Mapping[str, Any], event: EventType) -> list[Poison]:
    stranger = uuid.UUID(int=run.chance.getrandbits(128), version=4)
    unknown = {"application_id": str(stranger), "event_id": str(event_id(event, stranger))}
    changed = functools.partial(_signed, run) if event is EventType.CREDIT_REPORT_GENERATED else _changed
    return [
        Poison("malformed_json", b"{ not json", "bad-json"),
        Poison("invalid_fields", _changed(decided, monthly_income_inr=[1]), "wrong-type"),
        Poison("empty_message", b"", "empty"),
        Poison("unknown_version", _changed(decided, message_version="v9"), "unknown-version"),
        Poison("malformed_json", b"x" * LARGE_BYTES, "large"),
        Poison("unknown_application", changed(decided, **unknown), "unknown-application"),
        Poison("different_content", changed(decided, loan_amount_inr="1.00"), "another-body-later"),
    ]


def _changed(event: Mapping[str, Any], **fields: object) -> bytes:
    return json.dumps({**event, **fields}).encode()


def _signed(run: Run, report: Mapping[str, Any], **fields: object) -> bytes:
    """The report with other fields, as if credit-service had made it."""
    changed = {name: value for name, value in report.items() if name not in reports.OF_THE_DRAW} | fields
    return _changed(changed, report_mac=reports.mac(keys.key(run.system.data.keys, reports.REPORT_KEYS), changed))


def _flipped(token: str) -> str:
    """The token with its last character, in the tag, changed."""
    body, padding = token.rstrip("="), "=" * (len(token) - len(token.rstrip("=")))
    return body[:-4] + ("A" if body[-4] != "A" else "B") + body[-3:] + padding


def _tells_where_and_why(run: Run, topic: str, places: Mapping[Lies, Poison]) -> None:
    found = {}
    for message in run.system.broker.read(dead_letter_topic(topic), len(places)):
        said = headers_of(message)
        found[int(said["dlq.partition"]), int(said["dlq.offset"])] = said["dlq.error_kind"], message.value() or b""
        run.demand(said["dlq.topic"] == topic, f"a dead letter comes from {said['dlq.topic']}")
        run.demand(
            {"dlq.first_seen", "dlq.last_seen", "dlq.attempts"} <= said.keys(), f"a dead letter says only {said}"
        )
    expected = {place: (each.kind, each.value or b"") for place, each in places.items()}
    run.demand(found.keys() == expected.keys(), f"dead letters came from {sorted(found)}, not {sorted(expected)}")
    differ = {places[place].key: found[place][0] for place in expected if found.get(place) != expected[place]}
    run.demand(not differ, f"dead letters for other reasons, or not whole: {differ}")


def _all_published_as_dead_letters(run: Run, topic: str, places: Mapping[Lies, Poison]) -> None:
    said_of_each = [headers_of(each) for each in run.system.broker.read(dead_letter_topic(topic), len(places))]
    dead = [(int(said["dlq.partition"]), int(said["dlq.offset"])) for said in said_of_each]
    run.demand(set(dead) == places.keys(), f"dead letters came from {sorted(dead)}, not {sorted(places)}")
    run.demand(len(dead) <= 2 * len(places), f"{len(dead)} dead letters of {len(places)}")


def _come_back(run: Run, counts: list[int], known: int) -> None:
    """Replaying what nobody has restored puts it aside again, but for what is `known` by now, and changes no row."""
    counts[0] -= known
    before = run.system.database.everything()
    _replay(run, "--all")
    run.demand_soon(functools.partial(_dead_again, run, counts), 20, "what was replayed was no dead letter again")
    for topic in CONSUMERS.values():
        for message in run.system.broker.read(topic, 0):
            if not _is_event(message):
                run.journal.write(Planted(topic, message.partition() or 0, message.offset() or 0))
    after = run.system.database.everything()
    changed = {table for table, rows in before.items() if rows != after[table]} - {"resolved_dead_letters"}
    run.demand(not changed, f"rows changed in {sorted(changed)}")


def _dead_again(run: Run, counts: list[int]) -> bool:
    return _dead_by_place(run) == counts and run.system.broker.lag() == 0


def _dead_by_place(run: Run) -> list[int]:
    """How many dead letters each consumer has."""
    return [run.system.broker.published(dead_letter_topic(topic)) for topic in CONSUMERS.values()]


def _counts(places: Mapping[str, Mapping[Lies, Poison]]) -> list[int]:
    return [len(places[topic]) for topic in CONSUMERS.values()]


def _waiting_dead_letters(run: Run) -> int:
    listed = run.system.prequal("dlq", "list", "--json")
    kinds = Counter(dead["reason"] for dead in json.loads(listed.stdout or "[]"))
    return kinds["unexpected_error"]


def _replay(run: Run, *words: str) -> None:
    done = run.system.prequal("dlq", "replay", *words)
    run.demand(done.returncode == 0, f"the replay ended with {done.returncode}: {done.stdout} {done.stderr}")
