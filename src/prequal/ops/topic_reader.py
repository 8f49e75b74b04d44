"""Reads topics, whole or from where one was, without joining a group or committing an offset.

Invariant: it reads up to the end offsets seen at the start, so it ends however fast messages arrive.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from time import monotonic
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient

from prequal.core.errors import Misconfigured, Transient
from prequal.core.settings import KafkaSettings
from prequal.messaging import consumer_lag
from prequal.messaging.acls import READER_GROUP, KafkaUser
from prequal.messaging.consumer_lag import Spans
from prequal.messaging.kafka_clients import Refusal, common_settings, consumer_settings
from prequal.messaging.offset_tracker import Partition

REQUEST_SECONDS = 5.0
SILENCE_SECONDS = 10.0
READ_AT_ONCE = 50

_FINAL = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError._UNKNOWN_TOPIC,
    KafkaError._UNKNOWN_PARTITION,
}

_UNREACHABLE = "Kafka at {} does not answer: {}."
_UNREADABLE = "The Kafka user {} may not read a topic that is needed: {} may."


def read_topics(kafka: KafkaSettings, topics: Sequence[str]) -> Iterator[Message]:
    """Every message of these topics.

    Raises:
        Transient: Kafka does not answer.
        Misconfigured: a topic does not exist, or the user may not read it.
    """
    with closing(TopicReader(kafka)) as reader:
        yield from reader.read(
            {partition: (OFFSET_BEGINNING, end) for partition, (_, end) in reader.offsets(topics).items()}
        )


class TopicReader:
    """Reads over connections that stay open, each opened by its first question. Every question blocks."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self._kafka = kafka
        self._refusal = Refusal()
        self._opened: Consumer | None = None
        self._admin: AdminClient | None = None

    def offsets(self, topics: Sequence[str]) -> dict[Partition, tuple[int, int]]:
        """The first offset of each partition that holds any message, and one past the last.

        Raises:
            Transient: Kafka does not answer.
            Misconfigured: a topic does not exist, or the user may not read it.
        """
        with self._answers():
            return _offsets(self._consumer(), topics, self._kafka.kafka_sasl_username)

    def first_times(self, spans: Spans) -> dict[Partition, datetime]:
        """When the first message of each of these partitions was written. Raises as `offsets`."""
        with self._answers():
            if self._admin is None:
                self._admin = AdminClient(common_settings(self._kafka) | {"log_level": 0})
            return consumer_lag.first_times(self._admin, spans)

    def read(self, spans: Mapping[Partition, tuple[int, int]]) -> Iterator[Message]:
        """The messages from an offset up to before another. Raises as `offsets`."""
        with self._answers():
            yield from _until_ends(self._consumer(), spans)

    def close(self) -> None:
        """Close the connections; the next question opens others."""
        opened, self._opened, self._admin = self._opened, None, None
        if opened is not None:
            opened.close()

    def _consumer(self) -> Consumer:
        if self._opened is None:
            self._opened = _consumer(self._kafka, self._refusal)
        return self._opened

    @contextmanager
    def _answers(self) -> Iterator[None]:
        try:
            yield
        except KafkaException as error:
            if error.args[0].code() == KafkaError.TOPIC_AUTHORIZATION_FAILED:
                raise Misconfigured(_UNREADABLE.format(self._kafka.kafka_sasl_username, KafkaUser.OPERATOR)) from None
            raise self._unreachable(self._refusal.sentence or error.args[0].name()) from None
        except TimeoutError:
            raise self._unreachable("no message in time") from None

    def _unreachable(self, reason: str) -> Transient:
        self.close()
        return Transient(_UNREACHABLE.format(self._kafka.kafka_bootstrap_servers, reason))


def _consumer(kafka: KafkaSettings, refusal: Refusal) -> Consumer:
    read_only = {"enable.auto.commit": False, "enable.partition.eof": True, "fetch.wait.max.ms": 50, "log_level": 0}
    settings: dict[str, Any] = consumer_settings(kafka, READER_GROUP) | read_only | {"error_cb": refusal}
    return Consumer(settings)


def _offsets(consumer: Consumer, topics: Sequence[str], user: str) -> dict[Partition, tuple[int, int]]:
    existing = consumer.list_topics(timeout=REQUEST_SECONDS).topics
    for topic in topics:
        if topic not in existing:
            # Brokers name no topic to a user who may do nothing with it.
            unseen = f", or the Kafka user {user} may not read it, as {KafkaUser.OPERATOR} may" if user else ""
            raise Misconfigured(f"The topic {topic} does not exist: run `prequal topics`{unseen}.")
    partitions = [TopicPartition(topic, number) for topic in topics for number in existing[topic].partitions]
    marks = zip(partitions, consumer_lag.reaches(consumer, partitions, REQUEST_SECONDS), strict=True)
    return {(each.topic, each.partition): (first, end) for each, (first, end) in marks if first < end}


def _until_ends(consumer: Consumer, spans: Mapping[Partition, tuple[int, int]]) -> Iterator[Message]:
    consumer.assign([TopicPartition(*partition, begin) for partition, (begin, _) in spans.items()])
    ends = {partition: end for partition, (_, end) in spans.items()}
    unread = dict(ends)
    deadline = monotonic() + SILENCE_SECONDS
    while unread:
        for message in _poll(consumer):
            partition = message.topic() or "", message.partition() or 0
            if _at_end(message, unread.get(partition, 0)):
                unread.pop(partition, None)
            if message.error() is None and (message.offset() or 0) < ends.get(partition, 0):
                yield message
                deadline = monotonic() + SILENCE_SECONDS
        if monotonic() > deadline:
            raise TimeoutError


def _poll(consumer: Consumer) -> list[Message]:
    first = consumer.poll(0.1)  # consume() alone would always wait its whole timeout
    return [] if first is None else [first, *consumer.consume(READ_AT_ONCE - 1, 0)]


def _at_end(message: Message, end: int) -> bool:
    """Whether this is the last message before the end offset seen at the start."""
    error = message.error()
    if error is None:
        return (message.offset() or 0) >= end - 1
    if error.code() == KafkaError._PARTITION_EOF:
        return True
    if error.code() in _FINAL:
        raise KafkaException(error)
    return False  # the client recovers by itself, or no message comes and the deadline passes
