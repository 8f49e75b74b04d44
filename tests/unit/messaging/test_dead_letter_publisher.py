from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from confluent_kafka import KafkaError, KafkaException, Message
from hypothesis import given

from harness.broker import clients_of
from prequal.core.errors import Invalid, Transient
from prequal.messaging.dead_letter_publisher import DeadLetter, DeadLetterProducer, Unwritable, headers
from prequal.messaging.kafka_clients import Headers, read_headers
from prequal.messaging.messages import ConsumedMessage
from tests.builders import MOMENT, a_message
from tests.support.pans import NUMBERS, TEXTS, shown


def a_dead_letter(message: Message | None = None, reason: str = "loan_type: is not one") -> DeadLetter:
    message = message or a_message()
    consumed = ConsumedMessage(message, read_headers(message) or [])
    consumed.attempts, consumed.first_seen = 3, MOMENT
    return DeadLetter(consumed, Invalid("invalid_fields", reason))


def test_dead_letter_says_where_it_came_from_and_why() -> None:
    found = dict(headers(a_dead_letter(a_message(topic="t", partition=2, offset=71))))

    last_seen = found.pop("dlq.last_seen")
    assert found == {
        "dlq.topic": "t",
        "dlq.partition": "2",
        "dlq.offset": "71",
        "dlq.error_kind": "invalid_fields",
        "dlq.error_message": "loan_type: is not one",
        "dlq.first_seen": "2026-11-23T09:30:00.123+00:00",
        "dlq.attempts": "3",
    }
    assert abs((datetime.fromisoformat(str(last_seen)) - datetime.now(UTC)).total_seconds()) < 60


def test_headers_of_the_original_come_first_and_unchanged() -> None:
    original: list[tuple[str, str | bytes | None]] = [("traceparent", b"00-x"), ("odd", None), ("traceparent", b"\xff")]

    found = headers(a_dead_letter(a_message(headers=original)))

    assert found[:3] == original


def test_headers_of_an_earlier_publication_are_replaced() -> None:
    published_before = a_message(headers=[("dlq.attempts", b"9"), ("event_id", b"x"), ("dlq.replayed", b"1")])

    names = [name for name, _ in headers(a_dead_letter(published_before))]

    assert names.count("dlq.attempts") == 1
    assert "dlq.replayed" not in names
    assert names[0] == "event_id"


@given(TEXTS, NUMBERS)
def test_reason_never_holds_a_pan(before: str, number: str) -> None:
    reason = dict(headers(a_dead_letter(reason=before + number)))["dlq.error_message"]

    assert shown(str(reason)) == []


def test_long_reason_is_cut_to_fit_the_topics_extra_room() -> None:
    reason = dict(headers(a_dead_letter(reason="₹" * 100_000)))["dlq.error_message"]

    assert len(str(reason)) == 500


@pytest.mark.parametrize(
    ("earlier", "first_seen", "attempts"),
    [
        pytest.param([], "2026-11-23T09:30:00.123+00:00", "3", id="not replayed"),
        pytest.param(
            [("dlq.first_seen", b"2026-11-20T08:00:00.000+00:00"), ("dlq.attempts", b"4")],
            "2026-11-20T08:00:00.000+00:00",
            "7",
            id="replayed",
        ),
        pytest.param(
            [("dlq.first_seen", b"2099-01-01T00:00:00+00:00"), ("dlq.attempts", b"-4")],
            "2026-11-23T09:30:00.123+00:00",
            "3",
            id="in the future",
        ),
        pytest.param(
            [("dlq.first_seen", b"2026-11-20T08:00:00"), ("dlq.attempts", b"9" * 100)],
            "2026-11-23T09:30:00.123+00:00",
            "3",
            id="without a zone",
        ),
        pytest.param(
            [("dlq.first_seen", b"\xff"), ("dlq.attempts", None)], "2026-11-23T09:30:00.123+00:00", "3", id="no text"
        ),
    ],
)
def test_replayed_message_keeps_first_seen_and_counts_attempts_on(
    earlier: Headers, first_seen: str, attempts: str
) -> None:
    found = dict(headers(a_dead_letter(a_message(headers=earlier))))

    assert (found["dlq.first_seen"], found["dlq.attempts"]) == (first_seen, attempts)


class Answering:
    """A Kafka producer that answers each attempt as set, and keeps the headers of each."""

    def __init__(self, *answers: KafkaError | Exception | None) -> None:
        self.answers = list(answers)
        self.headers: list[list[str]] = []

    def produce(self, topic: str, value: bytes, key: bytes, headers: Headers, on_delivery: Any) -> None:
        self.headers.append([name for name, _ in headers])
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        on_delivery(answer, None)


def a_producer(*answers: KafkaError | Exception | None) -> tuple[DeadLetterProducer, Answering]:
    producer, answering = DeadLetterProducer(clients_of(f"{uuid4()}:1")), Answering(*answers)
    producer._producer = answering  # type: ignore[assignment]
    return producer, answering


TOO_LARGE = KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)
REFUSALS = [
    TOO_LARGE,
    KafkaException(TOO_LARGE),
    KafkaError(KafkaError.INVALID_RECORD),
    TypeError("a header"),
    ValueError(),
]
OWN_HEADERS = [name for name, _ in headers(a_dead_letter())]


@pytest.mark.parametrize("refusal", REFUSALS, ids=repr)
async def test_dead_letter_refused_for_itself_is_published_without_its_headers(
    refusal: KafkaError | Exception,
) -> None:
    producer, answering = a_producer(refusal, None)

    await producer.publish(a_dead_letter(a_message(headers=[("odd", b"x")])))

    assert answering.headers == [["odd", *OWN_HEADERS], OWN_HEADERS]


async def test_dead_letter_that_is_refused_without_headers_too_is_unwritable() -> None:
    producer, _ = a_producer(TOO_LARGE, TOO_LARGE)

    with pytest.raises(Unwritable, match="MSG_SIZE_TOO_LARGE"):
        await producer.publish(a_dead_letter())


@pytest.mark.parametrize("code", [KafkaError._TRANSPORT, KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._MSG_TIMED_OUT])
async def test_failure_that_may_pass_keeps_the_original_headers_for_the_next_try(code: int) -> None:
    producer, answering = a_producer(KafkaError(code))

    with pytest.raises(Transient):
        await producer.publish(a_dead_letter(a_message(headers=[("odd", b"x")])))

    assert answering.headers == [["odd", *OWN_HEADERS]]


def test_dead_letter_knows_its_partition() -> None:
    dead_letter = a_dead_letter(a_message(topic="t", partition=2, offset=71))

    assert (dead_letter.partition, dead_letter.message.offset) == (("t", 2), 71)
