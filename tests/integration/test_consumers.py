"""Both consumers with a real database and a real broker: what is handled, what is a dead letter, and what waits."""

import asyncio
import base64
import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from confluent_kafka import Consumer, Message, TopicPartition

from harness import reports
from harness.broker import (
    REPORTED,
    REPORTED_DLQ,
    SUBMITTED,
    SUBMITTED_DLQ,
    Broker,
    RawMessage,
    headers_of,
)
from harness.database import Cluster, Database
from harness.system import REPORT_KEY
from harness.waiting import Stopwatch, eventually, soon
from prequal.core.errors import Invalid
from prequal.credit import queries as credit_queries
from prequal.decision import queries as decision_queries
from prequal.domain.events import EventType
from prequal.domain.pan import Pan
from prequal.domain.policy import packaged
from prequal.local.kafka import Kafka
from prequal.messaging import dead_letter_publisher, retries
from prequal.messaging.event_ids import event_id
from prequal.messaging.events import CreditReportGenerated
from prequal.messaging.kafka_clients import message_headers
from prequal.messaging.report_mac import ReportMac
from prequal.security.pan_encryption import KeyRing
from prequal.telemetry import metrics
from tests.builders import CLIENT
from tests.support.consumers import Consuming, assessing, deciding
from tests.support.submissions import REPORT_MAC, Submission, a_submission, store, stored

NO_FILE = "SANDB0404F"
"""The sandbox's PAN of which the bureau has no file."""

SUBMITTED_EVENT = EventType.APPLICATION_SUBMITTED
NEW_KEY = b"n" * 32


def unpublished(database: Database) -> dict[Any, dict[str, Any]]:
    """The unpublished events, by application."""
    rows = database.rows("SELECT application_id, payload::jsonb AS content FROM outbox_events")
    assert len({row["application_id"] for row in rows}) == len(rows), "an application has two reports"
    return {row["application_id"]: row["content"] for row in rows}


def decided(database: Database, submission: Submission) -> str:
    return str(database.application(submission.id)["status"])


# ── each does its work ──────────────────────────────────────────────────────────────────────────────────────────────


async def test_submitted_applications_are_scored_as_the_oracle_scores_them(database: Database, broker: Broker) -> None:
    submissions = [
        a_submission(loan_type=loan_type, monthly_income_inr=income)
        for loan_type in ("HOME", "AUTO", "PERSONAL")
        for income in ("75000.01", "75000.00", "30000.00", "29999.99")
    ]
    store(database, submissions)
    broker.publish(SUBMITTED, [submission.submitted() for submission in submissions])

    async with assessing(database, broker):
        await soon(lambda: len(unpublished(database)) == len(submissions))

    scores = {id_: content["cibil_score"] for id_, content in unpublished(database).items()}
    assert scores == {submission.id: submission.score for submission in submissions}


async def test_documented_pans_have_their_documented_scores(database: Database, broker: Broker) -> None:
    best, worst = a_submission(pan="ABCDE1234F"), a_submission(pan="FGHIJ5678K")
    store(database, [best, worst])
    broker.publish(SUBMITTED, [best.submitted(), worst.submitted()])

    async with assessing(database, broker):
        await soon(lambda: len(unpublished(database)) == 2)

    assert unpublished(database)[best.id]["cibil_score"] == 790
    assert unpublished(database)[worst.id]["cibil_score"] == 610


async def test_rejected_applicant_who_applies_again_has_the_same_score(database: Database, broker: Broker) -> None:
    first = a_submission()
    tries = [first, *(a_submission(pan=first.pan) for _ in range(9))]
    store(database, tries)
    broker.publish(SUBMITTED, [submission.submitted() for submission in tries])

    async with assessing(database, broker):
        await soon(lambda: len(unpublished(database)) == len(tries))

    assert len({content["cibil_score"] for content in unpublished(database).values()}) == 1


async def test_report_has_everything_the_decision_needs_and_no_pan(database: Database, broker: Broker) -> None:
    (submission,) = stored(database)
    broker.publish(SUBMITTED, [submission.submitted()])

    async with assessing(database, broker):
        await soon(lambda: unpublished(database))

    row = database.row("SELECT * FROM outbox_events")
    content = json.loads(row["payload"])
    assert datetime.now(UTC) - datetime.fromisoformat(content.pop("generated_at")) < timedelta(seconds=30)
    assert content == {
        "event_id": str(submission.report_id),
        "application_id": str(submission.id),
        "pan_number_hash": submission.pan_number_hash,
        "cibil_score": submission.score,
        "monthly_income_inr": "85000.00",
        "loan_amount_inr": "1500000.00",
        "loan_type": "HOME",
        "message_version": "v1",
        "client": CLIENT,
        "report_mac": reports.mac(base64.b64decode(REPORT_KEY), content),
        "challenge_draw": submission.challenge_draw,
        "challenge_mac": reports.challenge_mac(base64.b64decode(REPORT_KEY), content),
    }
    assert (row["topic"], row["event_type"]) == (REPORTED, "CreditReportGenerated")
    assert (row["event_id"], row["correlation_id"]) == (submission.report_id, "request-1")


async def test_report_of_a_person_without_a_file_says_so_and_has_no_score(database: Database, broker: Broker) -> None:
    (submission,) = stored(database, pan=NO_FILE)
    broker.publish(SUBMITTED, [submission.submitted()])

    async with assessing(database, broker):
        await soon(lambda: unpublished(database))

    content = unpublished(database)[submission.id]
    assert (content["bureau_outcome"], content["cibil_score"]) == ("NO_FILE", None)


async def test_person_without_a_file_is_neither_approved_nor_rejected(database: Database, broker: Broker) -> None:
    (submission,) = stored(database, pan=NO_FILE)
    broker.publish(REPORTED, [submission.report()])

    async with deciding(database, broker):
        await soon(lambda: decided(database, submission) != "PENDING")

    row = database.application(submission.id)
    assert (row["status"], row["cibil_score"], row["decision_rule"]) == ("MANUAL_REVIEW", None, "NO_CREDIT_FILE")
    assert row["decision_measures"]["cibil_score"] is None
    assert row["decision_measures"]["loan_amount_inr"] == submission.loan_amount_inr


async def test_every_decrypted_pan_was_recorded_once_before(database: Database, broker: Broker) -> None:
    submissions = stored(database, 20)
    broker.publish(SUBMITTED, [submission.submitted() for submission in submissions])

    async with assessing(database, broker):
        await soon(lambda: len(unpublished(database)) == 20)

    records = database.rows("SELECT * FROM audit_log")
    assert sorted(record["application_id"] for record in records) == sorted(each.id for each in submissions)
    assert {(r["service"], r["action"], r["request_id"]) for r in records} == {("credit-service", "READ", "request-1")}


async def test_record_of_a_decryption_stays_when_its_effect_is_rolled_back(database: Database, broker: Broker) -> None:
    (submission,) = stored(database)
    database.execute("ALTER TABLE outbox_events RENAME TO away")
    broker.publish(SUBMITTED, [submission.submitted()])

    async with assessing(database, broker):
        await soon(lambda: database.count("audit_log"))
        database.execute("ALTER TABLE away RENAME TO outbox_events")
        await soon(lambda: unpublished(database))

    assert database.count("audit_log") >= 1
    assert unpublished(database)[submission.id]["cibil_score"] == submission.score


@pytest.mark.parametrize(
    ("score", "income", "amount", "status"),
    [
        (649, "100000.00", "1.00", "REJECTED"),
        (650, "100000.00", "4799999.99", "PRE_APPROVED"),
        (650, "100000.00", "4800000.00", "MANUAL_REVIEW"),
        (900, "100000.00", "4800000.01", "MANUAL_REVIEW"),
        (300, "0.01", "9999999999.99", "REJECTED"),
        (650, "0.01", "0.48", "MANUAL_REVIEW"),
        (650, "0.01", "0.47", "PRE_APPROVED"),
    ],
)
async def test_decision_follows_the_policy_and_stores_why(
    database: Database, broker: Broker, score: int, income: str, amount: str, status: str
) -> None:
    (submission,) = stored(database, monthly_income_inr=income, loan_amount_inr=amount)
    broker.publish(REPORTED, [submission.report(score)])

    async with deciding(database, broker):
        await soon(lambda: decided(database, submission) != "PENDING")

    row = database.application(submission.id)
    assert (row["status"], row["cibil_score"], row["version"], row["policy_version"]) == (status, score, 2, "v1")
    assert row["decision_rule"]
    assert row["policy_hash"].hex() == packaged.current().hash
    assert row["decision_measures"]["cibil_score"] == score
    assert row["decision_measures"]["minimum_cibil_score"] == 650
    assert row["decision_measures"]["monthly_income_inr"] == income
    assert row["decision_measures"]["loan_amount_inr"] == amount
    assert row["updated_at"] > row["created_at"]


# ── both handlers, the same promises ────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Handler:
    """One of the two handlers as the tests below see it."""

    topic: str
    dead_letters: str
    consuming: Callable[..., AbstractAsyncContextManager[Consuming]]
    message: Callable[..., RawMessage]
    effects: Callable[[Database], int]
    """The number of applications on which it took effect."""


CREDIT = Handler(SUBMITTED, SUBMITTED_DLQ, assessing, Submission.submitted, lambda database: len(unpublished(database)))
DECISION = Handler(
    REPORTED,
    REPORTED_DLQ,
    deciding,
    Submission.report,
    lambda database: int(database.value("SELECT count(*) FROM applications WHERE status <> 'PENDING'")),
)


HANDLERS = {"credit": CREDIT, "decision": DECISION}


@pytest.fixture(params=[CREDIT, DECISION], ids=["credit", "decision"])
def handler(request: pytest.FixtureRequest) -> Handler:
    found: Handler = request.param
    return found


async def test_redelivery_of_1000_events_changes_not_one_row(
    database: Database, broker: Broker, handler: Handler
) -> None:
    submissions = stored(database, 1000)
    broker.publish(handler.topic, [handler.message(submission) for submission in submissions])
    async with handler.consuming(database, broker) as first:
        await soon(first.all_handled)
    before = database.everything()
    assert handler.effects(database) == 1000

    async with handler.consuming(database, broker) as second:
        await soon(second.all_handled)

    assert database.everything() == before
    assert broker.published(handler.dead_letters) == 0


async def test_same_event_twice_in_one_batch_takes_effect_once(
    database: Database, broker: Broker, handler: Handler
) -> None:
    submissions = stored(database, 3)
    messages = [handler.message(submission) for submission in submissions]
    broker.publish(handler.topic, messages * 3)

    async with handler.consuming(database, broker) as consuming:
        await soon(consuming.all_handled)

    assert handler.effects(database) == 3
    assert database.count("processed_messages") == 3
    assert broker.published(handler.dead_letters) == 0


async def test_event_of_a_decided_application_is_a_duplicate_without_its_inbox_row(
    database: Database, broker: Broker, handler: Handler
) -> None:
    (submission,) = stored(database)
    broker.publish(REPORTED, [submission.report()])
    async with deciding(database, broker):
        await soon(lambda: decided(database, submission) != "PENDING")
    database.execute("DELETE FROM processed_messages")
    broker.renew()
    broker.publish(handler.topic, [handler.message(submission)])
    before = database.everything()

    async with handler.consuming(database, broker) as consuming:
        await soon(consuming.all_handled)

    assert database.everything() == before
    assert broker.published(handler.dead_letters) == 0


async def test_two_consumers_at_once_take_effect_once(database: Database, broker: Broker, handler: Handler) -> None:
    submissions = stored(database, 300)
    broker.publish(handler.topic, [handler.message(submission) for submission in submissions])

    async with handler.consuming(database, broker) as one, handler.consuming(database, broker) as other:
        await soon(lambda: one.all_handled() and other.all_handled())

    assert handler.effects(database) == 300
    assert database.count("processed_messages") == 300
    assert broker.published(handler.dead_letters) == 0


async def test_unknown_fields_and_missing_headers_do_no_harm(
    database: Database, broker: Broker, handler: Handler
) -> None:
    (submission,) = stored(database)
    message = handler.message(submission)
    value = json.dumps(json.loads(message.value or b"") | {"branch": "Pune", "risk": {"band": 3}}).encode()
    broker.publish(handler.topic, [replace(message, value=value, headers=[], key=None)])

    async with handler.consuming(database, broker):
        await soon(lambda: handler.effects(database) == 1)


# ── dead letters ───────────────────────────────────────────────────────────────────────────────────────────────────


def changed(message: RawMessage, **fields: Any) -> RawMessage:
    """The message with some of its fields changed, and signed again by a holder of the key, if it was signed."""
    content = json.loads(message.value or b"") | fields
    if "report_mac" in content:
        with suppress(Invalid):
            facts = CreditReportGenerated.decode(json.dumps(content).encode()).facts
            content["report_mac"] = REPORT_MAC.make(facts)
    return replace(message, value=json.dumps(content).encode())


def of_an_unknown_application(message: RawMessage) -> RawMessage:
    """The message as if it were of an application that does not exist."""
    event_type = EventType.CREDIT_REPORT_GENERATED if b"cibil_score" in (message.value or b"") else SUBMITTED_EVENT
    application_id = uuid4()
    return changed(message, application_id=str(application_id), event_id=str(event_id(event_type, application_id)))


def lacking(message: RawMessage, field: str) -> RawMessage:
    content = json.loads(message.value or b"")
    del content[field]
    return replace(message, value=json.dumps(content).encode())


POISON: dict[str, tuple[str, Callable[[RawMessage], RawMessage]]] = {
    "no content": ("empty_message", lambda message: replace(message, value=None)),
    "empty": ("empty_message", lambda message: replace(message, value=b"")),
    "no JSON": ("malformed_json", lambda message: replace(message, value=b"PAN ABCDE1234F")),
    "cut off": ("malformed_json", lambda message: replace(message, value=(message.value or b"")[:-5])),
    "not UTF-8": ("malformed_json", lambda message: replace(message, value=b"\xff\xfe\x00{")),
    "900 KB": ("malformed_json", lambda message: replace(message, value=b"x" * 900_000)),
    "a list": ("invalid_fields", lambda message: replace(message, value=b"[" + (message.value or b"") + b"]")),
    "a wrong type": ("invalid_fields", lambda message: changed(message, loan_type=7)),
    "an amount as a number": ("invalid_fields", lambda message: changed(message, loan_amount_inr=1500000.5)),
    "an amount of nothing": ("invalid_fields", lambda message: changed(message, loan_amount_inr="0.00")),
    "an amount of NaN": ("invalid_fields", lambda message: changed(message, monthly_income_inr="NaN")),
    "no application": ("invalid_fields", lambda message: lacking(message, "application_id")),
    "a PAN for a hash": ("invalid_fields", lambda message: changed(message, pan_number_hash="ABCDE1234F")),
    "an unknown version": ("unknown_version", lambda message: changed(message, message_version="v2")),
    "no version": ("invalid_fields", lambda message: lacking(message, "message_version")),
    "an unknown application": ("unknown_application", lambda message: of_an_unknown_application(message)),
    "another application's event id": ("wrong_event_id", lambda message: changed(message, event_id=str(uuid4()))),
    "another amount than the application's": (
        "contradicts_application",
        lambda message: changed(message, loan_amount_inr="1.00"),
    ),
}
"""Messages that can never succeed in either handler, by name: the kind of the dead letter, and how to spoil one."""


POISON_FOR_CREDIT: dict[str, tuple[str, Callable[[RawMessage], RawMessage]]] = {
    "no token": ("unreadable_token", lambda message: encrypted(message, b"")),
    "a token of another version": ("unreadable_token", lambda message: encrypted(message, b"\x02" + bytes(46))),
    "a token too short": ("unreadable_token", lambda message: encrypted(message, token_of(message)[:-1])),
    "a token too long": ("unreadable_token", lambda message: encrypted(message, token_of(message) + b"x")),
    "a token that is no base64": ("invalid_fields", lambda message: changed(message, pan_number_encrypted="*" * 64)),
    "a flipped bit in the nonce": (
        "tampered_token",
        lambda message: encrypted(message, flipped(token_of(message), 10)),
    ),
    "a flipped bit in the number": (
        "tampered_token",
        lambda message: encrypted(message, flipped(token_of(message), 25)),
    ),
    "a flipped bit in the tag": ("tampered_token", lambda message: encrypted(message, flipped(token_of(message), 46))),
    "another application's encrypted PAN": (
        "tampered_token",
        lambda message: encrypted(message, a_submission().encrypted_pan),
    ),
}
"""Messages that can never succeed where PANs are decrypted."""


def token_of(message: RawMessage) -> bytes:
    return base64.b64decode(json.loads(message.value or b"")["pan_number_encrypted"])


def encrypted(message: RawMessage, token: bytes) -> RawMessage:
    return changed(message, pan_number_encrypted=base64.b64encode(token).decode())


def flipped(token: bytes, byte: int) -> bytes:
    return token[:byte] + bytes([token[byte] ^ 1]) + token[byte + 1 :]


@dataclass(frozen=True)
class Spoilt:
    """A spoilt message between good ones, and its dead letter."""

    published: RawMessage
    offset: int
    dead: Message


@dataclass(frozen=True)
class Poisoned:
    """All spoilt messages, published to one handler at once, each between good messages."""

    spoilt: dict[str, Spoilt]
    good: int
    effects: int
    seconds_for_the_good: float


async def poisoned(handler: Handler, database: Database, broker: Broker) -> Poisoned:
    poison = POISON | (POISON_FOR_CREDIT if handler is CREDIT else {})
    good = stored(database, len(poison) + 1)
    messages = [handler.message(good[0], partition=1)]
    for neighbour, (_, spoil) in zip(good[1:], poison.values(), strict=True):
        victim = stored(database)[0]
        messages += [spoil(handler.message(victim, partition=1)), handler.message(neighbour, partition=1)]
    broker.publish(handler.topic, messages)
    async with handler.consuming(database, broker, dead_letters_in_a_row_max=1000) as consuming:
        watch = Stopwatch()
        await soon(lambda: handler.effects(database) == len(good))
        seconds = watch.seconds
        dead = await broker.arrived(handler.dead_letters, len(poison))
        await soon(consuming.all_handled)
    by_offset = {headers_of(message)["dlq.offset"]: message for message in dead}
    spoilt = {
        name: Spoilt(messages[place], place, by_offset[str(place)])
        for name, place in zip(poison, range(1, len(messages), 2), strict=True)
    }
    return Poisoned(spoilt, len(good), handler.effects(database), seconds)


@pytest.fixture(scope="module")
def poisoned_handlers(cluster: Cluster, kafka: Kafka) -> dict[str, Poisoned]:
    broker, found = Broker(kafka.bootstrap_servers), {}
    for name, handler in HANDLERS.items():
        broker.renew()
        with cluster.database() as database:
            found[name] = asyncio.run(poisoned(handler, database, broker))
    return found


EACH_POISON = [(name, poison) for name in ("credit", "decision") for poison in POISON]
EACH_POISON += [("credit", poison) for poison in POISON_FOR_CREDIT]


@pytest.mark.parametrize(("name", "poison"), EACH_POISON)
def test_dead_letter_is_the_whole_message_with_where_it_came_from_and_why(
    poisoned_handlers: dict[str, Poisoned], name: str, poison: str
) -> None:
    spoilt = poisoned_handlers[name].spoilt[poison]
    headers = headers_of(spoilt.dead)

    assert (spoilt.dead.value(), spoilt.dead.key()) == (spoilt.published.value, spoilt.published.key)
    assert (headers["dlq.topic"], headers["dlq.partition"]) == (HANDLERS[name].topic, "1")
    assert headers["dlq.offset"] == str(spoilt.offset)
    assert headers["dlq.error_kind"] == (POISON | POISON_FOR_CREDIT)[poison][0]
    assert headers["dlq.attempts"] == "1"
    assert headers["dlq.error_message"]
    first, last = (datetime.fromisoformat(headers[f"dlq.{seen}_seen"]) for seen in ("first", "last"))
    assert timedelta(0) <= last - first < timedelta(seconds=10)
    assert headers["event_id"] == dict(spoilt.published.headers)["event_id"]
    assert "ABCDE" not in str(headers)


@pytest.mark.parametrize("name", ["credit", "decision"])
def test_messages_beside_dead_letters_are_handled_in_normal_time(
    poisoned_handlers: dict[str, Poisoned], name: str
) -> None:
    result = poisoned_handlers[name]

    assert result.effects == result.good
    assert result.seconds_for_the_good < sum(retries.RETRY_AFTER_SECONDS)


async def test_dead_letter_leaves_no_inbox_row_so_that_its_replay_works(
    database: Database, broker: Broker, handler: Handler
) -> None:
    late = a_submission()
    broker.publish(handler.topic, [handler.message(late)])
    async with handler.consuming(database, broker):
        (message,) = await broker.arrived(handler.dead_letters, 1)
        assert database.count("processed_messages") == 0
        store(database, [late])

        broker.publish(handler.topic, [RawMessage(message.value(), message.key(), message_headers(message))])

        await soon(lambda: handler.effects(database) == 1)


async def test_second_dead_letter_of_a_message_names_its_second_place_only(
    database: Database, broker: Broker, handler: Handler
) -> None:
    broker.publish(
        handler.topic, [RawMessage(b"poison", headers=[("dlq.offset", "77"), ("dlq.custom", "x"), ("mine", "kept")])]
    )

    async with handler.consuming(database, broker):
        (message,) = await broker.arrived(handler.dead_letters, 1)

    names = [name for name, _ in message_headers(message)]
    assert len(names) == len(set(names))
    assert headers_of(message)["dlq.offset"] == "0"
    assert headers_of(message)["mine"] == "kept"
    assert "dlq.custom" not in names


async def test_same_event_id_with_other_content_is_a_dead_letter_and_changes_nothing(
    database: Database, broker: Broker
) -> None:
    (submission,) = stored(database)
    broker.publish(REPORTED, [submission.report(700)])
    async with deciding(database, broker) as consuming:
        await soon(consuming.all_handled)
        before = database.everything()

        broker.publish(REPORTED, [submission.report(500)])

        (message,) = await broker.arrived(REPORTED_DLQ, 1)
    assert headers_of(message)["dlq.error_kind"] == "different_content"
    assert database.everything() == before


async def test_same_id_with_other_content_in_one_batch_lets_the_first_take_effect(
    database: Database, broker: Broker
) -> None:
    (submission,) = stored(database)
    broker.publish(REPORTED, [submission.report(700, partition=0), submission.report(500, partition=0)])

    async with deciding(database, broker):
        (message,) = await broker.arrived(REPORTED_DLQ, 1)

    assert headers_of(message)["dlq.offset"] == "1"
    assert database.application(submission.id)["cibil_score"] == 700


async def test_same_event_with_another_time_is_no_other_content(database: Database, broker: Broker) -> None:
    (submission,) = stored(database)
    broker.publish(REPORTED, [submission.report(), changed(submission.report(), generated_at="2027-01-01T00:00:00Z")])

    async with deciding(database, broker) as consuming:
        await soon(consuming.all_handled)

    assert broker.published(REPORTED_DLQ) == 0


def with_score(message: RawMessage, score: int) -> RawMessage:
    """The message of somebody who knows no key and wants another score."""
    return replace(message, value=json.dumps(json.loads(message.value or b"") | {"cibil_score": score}).encode())


def with_draw(message: RawMessage, draw: int | None) -> RawMessage:
    """The message with another draw under the MACs that it has."""
    content = json.loads(message.value or b"") | {"challenge_draw": draw}
    return replace(message, value=json.dumps(content).encode())


FORGERIES: dict[str, Callable[[Submission], RawMessage]] = {
    "without a MAC": lambda submission: submission.report(900, mac=None),
    "under another key": lambda submission: submission.report(900, mac=ReportMac(NEW_KEY)),
    "another score under a good MAC": lambda submission: with_score(submission.report(300), 900),
}


FORGED_DRAWS: dict[str, Callable[[Submission], RawMessage]] = {
    "another draw under good MACs": lambda submission: with_draw(submission.report(900, challenge_draw=5000), 0),
    "a draw without a MAC": lambda submission: with_draw(submission.report(900), 0),
}


@pytest.mark.parametrize("forge", (FORGERIES | FORGED_DRAWS).values(), ids=FORGERIES | FORGED_DRAWS)
async def test_report_that_credit_did_not_sign_decides_nothing_and_is_a_dead_letter(
    database: Database, broker: Broker, forge: Callable[[Submission], RawMessage]
) -> None:
    (submission,) = stored(database)
    broker.publish(REPORTED, [replace(forge(submission), partition=0), submission.report(400, partition=0)])

    async with deciding(database, broker):
        (message,) = await broker.arrived(REPORTED_DLQ, 1)
        await soon(lambda: decided(database, submission) == "REJECTED")

    assert headers_of(message)["dlq.error_kind"] == "invalid_report_mac"
    assert headers_of(message)["dlq.offset"] == "0"
    assert database.application(submission.id)["cibil_score"] == 400


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES)
async def test_forged_report_of_a_decided_application_is_a_dead_letter(
    database: Database, broker: Broker, forge: Callable[[Submission], RawMessage]
) -> None:
    (submission,) = stored(database)
    broker.publish(REPORTED, [submission.report(400)])
    async with deciding(database, broker) as consuming:
        await soon(consuming.all_handled)
        before = database.everything()

        broker.publish(REPORTED, [forge(submission)])

        (message,) = await broker.arrived(REPORTED_DLQ, 1)
    assert headers_of(message)["dlq.error_kind"] == "invalid_report_mac"
    assert database.everything() == before


async def test_unsigned_report_that_took_effect_before_the_upgrade_is_a_duplicate(
    database: Database, broker: Broker
) -> None:
    (submission,) = stored(database)
    broker.publish(REPORTED, [submission.report()])
    async with deciding(database, broker) as consuming:
        await soon(consuming.all_handled)

        broker.publish(REPORTED, [submission.report(mac=None)])

        await soon(consuming.all_handled)
    assert broker.published(REPORTED_DLQ) == 0


async def test_unsigned_report_decides_during_an_upgrade_but_no_badly_signed_one(
    database: Database, broker: Broker
) -> None:
    old, forged = stored(database, 2)
    broker.publish(REPORTED, [forged.report(900, mac=ReportMac(NEW_KEY)), old.report(mac=None)])

    async with deciding(database, broker, accept_unsigned_reports=True):
        await broker.arrived(REPORTED_DLQ, 1)
        await soon(lambda: decided(database, old) == old.outcome)

    assert decided(database, forged) == "PENDING"


async def test_credit_signs_what_decision_accepts(database: Database, broker: Broker) -> None:
    (submission,) = stored(database)
    broker.publish(SUBMITTED, [submission.submitted()])
    async with assessing(database, broker):
        await soon(lambda: unpublished(database))

    report = database.value("SELECT payload FROM outbox_events")

    broker.publish(REPORTED, [RawMessage(report.encode(), str(submission.id).encode())])
    async with deciding(database, broker):
        await soon(lambda: decided(database, submission) == submission.outcome)


async def test_flipped_bit_in_a_key_id_waits_for_a_key_that_may_yet_come(database: Database, broker: Broker) -> None:
    victim, neighbour = stored(database, 2)
    token = flipped(victim.encrypted_pan, 5)
    broker.publish(SUBMITTED, [victim.but(encrypted_pan=token).submitted(), neighbour.submitted()])

    async with assessing(database, broker) as consuming:
        await soon(lambda: set(unpublished(database)) == {neighbour.id})
        await soon(lambda: consuming.reason_with("encryption key"))

    assert broker.published(SUBMITTED_DLQ) == 0


# ── keys ────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_unknown_key_pauses_its_partition_alone_and_is_no_dead_letter(database: Database, broker: Broker) -> None:
    new = KeyRing(NEW_KEY)
    (waiting,) = stored(database, keys=new)
    before, behind, *others = stored(database, 6)
    broker.publish(SUBMITTED, [before.submitted(partition=0), waiting.submitted(partition=0)])

    async with assessing(database, broker) as consuming:
        reason = await soon(lambda: consuming.reason_with("encryption key"))
        broker.publish(SUBMITTED, [behind.submitted(partition=0), *(other.submitted(partition=1) for other in others)])
        await soon(lambda: set(unpublished(database)) == {before.id, *(other.id for other in others)})

    assert reason.startswith("1 partition")
    assert broker.published(SUBMITTED_DLQ) == 0
    assert consuming.handled() == 1 + len(others)


async def test_partition_goes_on_once_its_key_is_there(database: Database, broker: Broker) -> None:
    (waiting,) = stored(database, keys=KeyRing(NEW_KEY))
    (behind,) = stored(database)
    broker.publish(SUBMITTED, [waiting.submitted(partition=0), behind.submitted(partition=0)])
    async with assessing(database, broker) as consuming:
        await soon(lambda: consuming.reason_with("encryption key"))

    both = KeyRing(NEW_KEY, [bytes(range(32))])
    async with assessing(database, broker, keys=both) as consuming:
        await soon(lambda: set(unpublished(database)) == {waiting.id, behind.id})
        assert consuming.consumer.reason_not_ready() is None


async def test_pan_encrypted_with_a_retired_key_is_decrypted(database: Database, broker: Broker) -> None:
    (submission,) = stored(database)
    broker.publish(SUBMITTED, [submission.submitted()])

    async with assessing(database, broker, keys=KeyRing(NEW_KEY, [bytes(range(32))])):
        await soon(lambda: unpublished(database))

    assert unpublished(database)[submission.id]["cibil_score"] == submission.score


# ── too many dead letters, and no topic for them ───────────────────────────────────────────────────────────────────


async def test_too_many_dead_letters_in_a_row_stop_the_consumer_and_leave_the_rest(
    database: Database, broker: Broker, handler: Handler
) -> None:
    good = stored(database, 3)
    poison = [RawMessage(b"poison %d" % number, partition=0) for number in range(40)]
    broker.publish(handler.topic, [*poison, *(handler.message(each, partition=0) for each in good)])

    async with handler.consuming(database, broker, dead_letters_in_a_row_max=10) as consuming:
        reason = await soon(lambda: consuming.reason_with("in a row"))
        await soon(lambda: broker.published(handler.dead_letters) == 10)
        await soon(lambda: consuming.handled() == 10)

        still = consuming.consumer.reason_not_ready()

    assert still == reason == "stopped after 10 dead letters in a row"
    assert broker.published(handler.dead_letters) == 10
    assert consuming.handled() == 10


async def test_good_messages_between_dead_letters_keep_the_consumer_going(
    database: Database, broker: Broker, handler: Handler
) -> None:
    good = stored(database, 15)
    for submission in good:
        broker.publish(handler.topic, [RawMessage(b"poison", partition=0), handler.message(submission, partition=0)])

    async with handler.consuming(database, broker, dead_letters_in_a_row_max=10, consumer_batch_max=2) as consuming:
        await soon(consuming.all_handled)

    assert handler.effects(database) == 15
    assert broker.published(handler.dead_letters) == 15


async def test_offset_waits_while_the_dead_letter_topic_is_missing(
    database: Database, broker: Broker, handler: Handler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dead_letter_publisher, "RETRY_SECONDS", 0.2)
    monkeypatch.setattr(dead_letter_publisher, "ANSWER_SECONDS", 2.0)
    before, behind = stored(database, 2)
    broker.delete(handler.dead_letters)
    broker.publish(
        handler.topic,
        [
            handler.message(before, partition=0),
            RawMessage(b"poison", partition=0),
            handler.message(behind, partition=0),
        ],
    )
    async with handler.consuming(database, broker) as consuming:
        await soon(lambda: handler.effects(database) == 2)
        await soon(lambda: consuming.handled() == 1)

        broker.create()

        await soon(consuming.all_handled, within=60)
    assert broker.published(handler.dead_letters) == 1


def leave_a_static_member(broker: Broker, group: str, instance: str, topic: str) -> None:
    """Leave the group with a static member that has all partitions of `topic`, and does not come back."""
    settings = {"bootstrap.servers": broker.bootstrap_servers, "group.id": group, "group.instance.id": instance}
    strategy = {"partition.assignment.strategy": "cooperative-sticky", "log_level": 0}
    assigned: list[TopicPartition] = []
    consumer = Consumer(settings | strategy)
    consumer.subscribe([topic], on_assign=lambda _, partitions: assigned.extend(partitions))
    eventually(lambda: [consumer.poll(0.1)] and len(assigned) == 3)
    consumer.close()


async def test_consumer_that_takes_over_an_assignment_without_its_topic_joins_again(
    database: Database, broker: Broker
) -> None:
    group = f"test-{uuid4()}"
    (submission,) = stored(database)
    broker.publish(SUBMITTED, [submission.submitted()])
    broker.publish(REPORTED, [submission.report()])
    await asyncio.to_thread(leave_a_static_member, broker, group, "decision-1", SUBMITTED)

    async with deciding(database, broker, group, kafka_group_instance_id="decision-1") as consuming:
        await soon(consuming.all_handled)

    assert decided(database, submission) == submission.outcome
    assert broker.published(REPORTED_DLQ) == 0


# ── failures of the handler, races, infrastructure failures ─────────────────────────────────────────────────────────


def test_failing_message_is_retried_after_1_2_and_4_seconds() -> None:
    assert retries.RETRY_AFTER_SECONDS == (1, 2, 4)


def application_of(row: Any) -> object:
    return row.event.application_id if hasattr(row, "event") else row.application_id


def fail_on(monkeypatch: pytest.MonkeyPatch, handler: Handler, application_id: object, times: int = 1000) -> list[int]:
    """Make the handler fail on one application; returns a list that grows with every failure."""
    failures: list[int] = []
    module, name = (credit_queries, "append_reports") if handler is CREDIT else (decision_queries, "write_decisions")
    working = getattr(module, name)

    async def broken(connection: Any, batch: Any, *more: Any) -> Any:
        if len(failures) < times and any(application_of(each) == application_id for each in batch):
            failures.append(len(batch))
            raise ZeroDivisionError("a bug")
        return await working(connection, batch, *more)

    monkeypatch.setattr(module, name, broken)
    return failures


async def test_message_that_makes_the_handler_fail_is_a_dead_letter_after_its_retries(
    database: Database, broker: Broker, handler: Handler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retries, "RETRY_AFTER_SECONDS", (0.1, 0.2, 0.4))
    victim, *neighbours = stored(database, 8)
    failures = fail_on(monkeypatch, handler, victim.id)
    broker.publish(handler.topic, [handler.message(each) for each in (*neighbours[:4], victim, *neighbours[4:])])

    async with handler.consuming(database, broker) as consuming:
        await soon(lambda: handler.effects(database) == len(neighbours))
        (message,) = await broker.arrived(handler.dead_letters, 1)
        await soon(consuming.all_handled)

    headers = headers_of(message)
    assert (headers["dlq.error_kind"], headers["dlq.attempts"]) == ("unexpected_error", "4")
    assert "ZeroDivisionError" in headers["dlq.error_message"]
    assert "a bug" not in headers["dlq.error_message"]
    assert failures.count(1) == 4
    assert message.value() == handler.message(victim).value


async def test_failure_that_passes_costs_only_time(
    database: Database, broker: Broker, handler: Handler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retries, "RETRY_AFTER_SECONDS", (0.1, 0.2, 0.4))
    (victim,) = stored(database)
    fail_on(monkeypatch, handler, victim.id, times=3)
    broker.publish(handler.topic, [handler.message(victim)])

    async with handler.consuming(database, broker) as consuming:
        await soon(consuming.all_handled)

    assert handler.effects(database) == 1
    assert broker.published(handler.dead_letters) == 0


def waits_for_a_lock(database: Database) -> bool:
    """Whether a decision waits for somebody else's change of its application."""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    return bool(database.value(waiting))


async def test_application_changed_while_it_is_decided_is_decided_next_round(
    database: Database, broker: Broker
) -> None:
    moved, neighbour = stored(database, 2)
    races = metrics.RETRIES.labels("optimistic_lock")
    before = races._value.get()

    async with deciding(database, broker) as consuming:
        with database.connect() as other:
            other.execute("UPDATE applications SET version = version + 1 WHERE id = %s", [moved.id])
            broker.publish(REPORTED, [moved.report(partition=0), neighbour.report(partition=0)])
            await soon(lambda: waits_for_a_lock(database))
        await soon(consuming.all_handled)

    assert [decided(database, each) for each in (moved, neighbour)] == [moved.outcome, neighbour.outcome]
    assert database.application(moved.id)["version"] == 3
    assert database.count("processed_messages") == 2
    assert races._value.get() == before + 1


@pytest.mark.parametrize("steps", [1, 0], ids=["by us", "by hand, and the version forgotten"])
async def test_application_that_another_decides_meanwhile_keeps_that_decision(
    database: Database, broker: Broker, steps: int
) -> None:
    (submission,) = stored(database)

    async with deciding(database, broker) as consuming:
        with database.connect() as other:
            other.execute(
                """
                UPDATE applications SET status = 'REJECTED', cibil_score = 301, decision_rule = 'other',
                       decision_measures = '{}', policy_version = 'other', version = version + %s
                WHERE id = %s
                """,
                [steps, submission.id],
            )
            broker.publish(REPORTED, [submission.report()])
            await soon(lambda: waits_for_a_lock(database))
        await soon(consuming.all_handled)

    assert database.application(submission.id)["cibil_score"] == 301
    assert broker.published(REPORTED_DLQ) == 0


def batches_retried() -> float:
    return float(metrics.RETRIES.labels("batch")._value.get())


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param("ALTER TABLE processed_messages RENAME TO away", id="a table is missing"),
        pytest.param("REVOKE ALL ON processed_messages FROM CURRENT_USER", id="a right is missing"),
    ],
)
async def test_infrastructure_failure_is_retried_and_makes_no_dead_letter(
    database: Database, broker: Broker, handler: Handler, fault: str
) -> None:
    if "REVOKE" in fault:
        # The owner of a database passes every check, so the fault is one that even the owner meets.
        fault = "CREATE RULE away AS ON INSERT TO processed_messages DO INSTEAD SELECT * FROM no_such_function_1()"
        database.execute(
            "CREATE FUNCTION no_such_function_1() RETURNS SETOF processed_messages LANGUAGE plpgsql AS "
            "$$BEGIN RAISE insufficient_privilege; END$$"
        )
        repair = "DROP RULE away ON processed_messages"
    else:
        repair = "ALTER TABLE away RENAME TO processed_messages"
    submissions = stored(database, 3)
    before = batches_retried()
    database.execute(fault)
    broker.publish(handler.topic, [handler.message(submission) for submission in submissions])

    async with handler.consuming(database, broker) as consuming:
        await soon(lambda: batches_retried() >= before + 2)
        assert broker.published(handler.dead_letters) == 0
        database.execute(repair)
        await soon(consuming.all_handled)

    assert handler.effects(database) == 3
    assert broker.published(handler.dead_letters) == 0


async def test_pan_of_a_message_never_reaches_the_headers_of_its_dead_letter(
    database: Database, broker: Broker
) -> None:
    (submission,) = stored(database)
    pan = Pan(submission.pan).reveal()
    broker.publish(SUBMITTED, [changed(submission.submitted(), loan_type=pan, message_version=pan)])

    async with assessing(database, broker):
        (message,) = await broker.arrived(SUBMITTED_DLQ, 1)

    assert pan not in str(message.headers())
