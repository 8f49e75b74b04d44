"""`messaging.outbox_producer`: which errors blame a message, the headers of a message, and a producer that dies."""

import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, ClassVar

import pytest
from confluent_kafka import KafkaError, KafkaException

from prequal.core.circuit_breaker import Breaker, State
from prequal.core.errors import Transient
from prequal.core.settings import PublisherSettings, load
from prequal.core.topology import topic_of
from prequal.domain.events import EventType
from prequal.messaging import outbox_producer
from prequal.messaging.delivery import DeliveryReports
from prequal.messaging.kafka_clients import REFUSALS
from prequal.messaging.outbox import OutboxRow
from prequal.messaging.outbox_producer import OutboxProducer, headers_of
from prequal.telemetry import metrics
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


def test_only_errors_that_blame_a_message_or_its_topic_park_it() -> None:
    assert names(BLAMES_THE_MESSAGE) == REFUSALS


@pytest.mark.parametrize("code", BLAMES_THE_BROKER)
def test_error_that_blames_the_broker_leaves_the_row_to_be_published_again(code: str) -> None:
    assert not names([code]) & REFUSALS


def test_message_has_the_headers_of_its_row() -> None:
    assert headers_of(a_row(), "00-x") == [
        ("event_id", str(APPLICATION_ID)),
        ("event_type", "ApplicationSubmitted"),
        ("message_version", "v1"),
        ("correlation_id", "request-1"),
        ("traceparent", "00-x"),
    ]


def test_row_without_request_or_trace_has_no_header_for_it() -> None:
    assert [name for name, _ in headers_of(a_row(None, None), None)] == ["event_id", "event_type", "message_version"]


# ── a producer that dies ────────────────────────────────────────────────────────────────────────────────────────

TOPIC = topic_of(EventType.APPLICATION_SUBMITTED)
FATAL = KafkaError(KafkaError._FATAL, "the sequence of a partition is broken")


class StandIn:
    """librdkafka's client at its border: keeps what it is given until a test reports on it."""

    lives: ClassVar[list["StandIn"]] = []

    def __init__(self, *_: object, **__: object) -> None:
        self.reports: list[Callable[[KafkaError | None, Any], None]] = []
        self.refuses: KafkaError | None = None
        self.purged = False
        self.asked_for: list[tuple[str, float]] = []
        self.lives.append(self)

    def produce(self, *_: object, on_delivery: Callable[[KafkaError | None, Any], None], **__: object) -> None:
        if self.refuses is not None:
            raise KafkaException(self.refuses)
        self.reports.append(on_delivery)

    def list_topics(self, topic: str, seconds: float) -> None:
        self.asked_for.append((topic, seconds))
        if self.refuses is not None:
            raise KafkaException(self.refuses)

    def poll(self, _: float) -> int:
        time.sleep(0.01)
        return 0

    def purge(self, *, blocking: bool) -> None:
        assert blocking is False
        self.purged = True


@pytest.fixture
async def mortal(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[OutboxProducer]:
    """A producer whose clients are stand-ins."""
    monkeypatch.setattr(StandIn, "lives", [])
    monkeypatch.setattr(outbox_producer, "Producer", StandIn)
    url = "postgresql://nobody@127.0.0.1:1/nowhere"
    settings = load(PublisherSettings, _env_file=None, database_url=url, kafka_bootstrap_servers="127.0.0.1:1")
    made = OutboxProducer(settings, "test", [TOPIC], Breaker("kafka_producer"))
    yield made
    made.stop()


def a_row_numbered(number: int) -> OutboxRow:
    return OutboxRow(number, TOPIC, APPLICATION_ID, "ApplicationSubmitted", APPLICATION_ID, "{}", None, None)


async def test_reports_wake_the_relay_of_their_topic_alone(mortal: OutboxProducer) -> None:
    mortal.reports["another"] = DeliveryReports()
    mortal.publish(a_row_numbered(1))
    StandIn.lives[0].reports[0](None, None)

    mortal._reports_arrived()

    assert {topic: reports.arrived.is_set() for topic, reports in mortal.reports.items()} == {
        TOPIC: True,
        "another": False,
    }


@pytest.mark.parametrize("refusal", [None, KafkaError(KafkaError._TRANSPORT)])
async def test_producer_is_connected_to_the_brokers_of_its_topics_where_there_are_any(
    mortal: OutboxProducer, refusal: KafkaError | None
) -> None:
    (client,) = StandIn.lives
    client.refuses = refusal

    await mortal.connect(0.5)

    assert client.asked_for == [(TOPIC, 0.5)]


def dies_by_a_report(producer: StandIn) -> None:
    producer.reports[-1](FATAL, None)


def dies_by_refusing(producer: StandIn) -> None:
    producer.refuses = FATAL


DEATHS = pytest.mark.parametrize("dies", [dies_by_a_report, dies_by_refusing])


@DEATHS
async def test_producer_that_died_is_replaced(mortal: OutboxProducer, dies: Callable[[StandIn], None]) -> None:
    before = metrics.RETRIES.labels("producer")._value.get()
    mortal.publish(a_row_numbered(1))
    (first,) = StandIn.lives
    dies(first)

    with pytest.raises(Transient, match="died"):
        mortal.publish(a_row_numbered(2))
    mortal.publish(a_row_numbered(3))

    _, second = StandIn.lives
    assert (first.purged, second.purged) == (True, False)
    assert (len(first.reports), len(second.reports)) == (1, 1)
    assert mortal.generation == 1
    assert metrics.RETRIES.labels("producer")._value.get() - before == 1


@DEATHS
async def test_reports_of_a_dead_producer_are_dropped(mortal: OutboxProducer, dies: Callable[[StandIn], None]) -> None:
    for number in (1, 2):
        mortal.publish(a_row_numbered(number))
    (first,) = StandIn.lives
    dies(first)
    mortal.reports[TOPIC].take()
    with pytest.raises(Transient):
        mortal.publish(a_row_numbered(3))

    first.reports[0](None, None)
    mortal.publish(a_row_numbered(1))
    StandIn.lives[1].reports[0](None, None)

    assert [(report.id, report.error) for report in mortal.reports[TOPIC].take()] == [(1, None)]


async def test_row_whose_report_says_that_the_producer_died_is_reported_as_failed(mortal: OutboxProducer) -> None:
    mortal.publish(a_row_numbered(1))
    dies_by_a_report(StandIn.lives[0])

    assert [(report.id, report.error) for report in mortal.reports[TOPIC].take()] == [(1, FATAL)]


async def test_producers_that_die_one_after_another_open_the_breaker(mortal: OutboxProducer) -> None:
    for _ in range(3):
        dies_by_refusing(StandIn.lives[-1])
        with pytest.raises(Transient):
            mortal.publish(a_row_numbered(1))

    assert mortal.breaker.state is State.OPEN
    assert mortal.generation == 3
