"""`kernel.teller`: what the broker's answers mean, and what a message carries."""

from collections.abc import Sequence

import pytest
from confluent_kafka import KafkaError

from prequal.kernel.kafka import REFUSALS
from prequal.kernel.outbox import OutboxRow
from prequal.kernel.teller import Answers, Told, headers_of
from tests.builders import APPLICATION_ID

BLAMES_THE_MESSAGE = [
    "MSG_SIZE_TOO_LARGE",
    "RECORD_LIST_TOO_LARGE",
    "INVALID_MSG",
    "INVALID_RECORD",
    "TOPIC_EXCEPTION",
    "TOPIC_AUTHORIZATION_FAILED",
    "UNKNOWN_TOPIC_OR_PART",
    "_UNKNOWN_TOPIC",
    "_UNKNOWN_PARTITION",
]
BLAMES_THE_BROKER = [
    "_MSG_TIMED_OUT",
    "_TRANSPORT",
    "_ALL_BROKERS_DOWN",
    "_PURGE_QUEUE",
    "_PURGE_INFLIGHT",
    "_QUEUE_FULL",
    "_FATAL",
    "NOT_ENOUGH_REPLICAS",
    "NOT_ENOUGH_REPLICAS_AFTER_APPEND",
    "NOT_LEADER_FOR_PARTITION",
    "LEADER_NOT_AVAILABLE",
    "REQUEST_TIMED_OUT",
    "OUT_OF_ORDER_SEQUENCE_NUMBER",
    "KAFKA_STORAGE_ERROR",
    "CLUSTER_AUTHORIZATION_FAILED",
]


def a_row(correlation_id: str | None = "request-1", traceparent: str | None = "00-x") -> OutboxRow:
    return OutboxRow(
        1, "topic", APPLICATION_ID, "ApplicationSubmitted", APPLICATION_ID, "{}", correlation_id, traceparent
    )


def names(codes: Sequence[str]) -> set[int]:
    return {getattr(KafkaError, code) for code in codes}


def test_just_the_answers_that_blame_a_message_or_its_topic_park_it() -> None:
    assert names(BLAMES_THE_MESSAGE) == REFUSALS


@pytest.mark.parametrize("code", BLAMES_THE_BROKER)
def test_an_answer_that_blames_the_broker_leaves_the_row_to_be_told_again(code: str) -> None:
    assert not names([code]) & REFUSALS


def test_an_event_is_told_with_the_contractsheaders_of() -> None:
    assert headers_of(a_row()) == [
        ("event_id", str(APPLICATION_ID)),
        ("event_type", "ApplicationSubmitted"),
        ("message_version", "v1"),
        ("correlation_id", "request-1"),
        ("traceparent", "00-x"),
    ]


def test_what_a_row_does_not_know_is_no_header() -> None:
    assert [name for name, _ in headers_of(a_row(None, None))] == ["event_id", "event_type", "message_version"]


def test_answers_are_taken_once_and_in_order() -> None:
    answers = Answers()
    for number in (1, 2, 3):
        answers.add(Told(number, None))

    taken = [answers.take(), answers.take()]

    assert taken == [[Told(1, None), Told(2, None), Told(3, None)], []]


def test_answers_say_whether_there_is_something_to_take() -> None:
    answers = Answers()
    before = bool(answers)
    answers.add(Told(1, None))

    assert (before, bool(answers)) == (False, True)
