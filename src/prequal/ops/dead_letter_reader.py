"""Reads whole topics without joining a group or committing an offset.

Invariant: it reads up to the end offsets seen at the start, so it ends however fast messages arrive.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing
from time import monotonic
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from prequal.core.errors import Misconfigured, Transient
from prequal.core.settings import KafkaSettings
from prequal.messaging.acls import READER_GROUP
from prequal.messaging.kafka_clients import Refusal, consumer_settings

REQUEST_SECONDS = 5.0
SILENCE_SECONDS = 10.0
READ_AT_ONCE = 50

_UNREACHABLE = "Kafka at {} does not answer: {}."


def read_topics(kafka: KafkaSettings, topics: Sequence[str]) -> Iterator[Message]:
    """Every message of these topics.

    Raises:
        Transient: Kafka does not answer.
        Misconfigured: a topic does not exist.
    """
    refusal = Refusal()
    try:
        with closing(_consumer(kafka, refusal)) as consumer:
            yield from _until_ends(consumer, _ends(consumer, topics))
    except KafkaException as error:
        reason = refusal.sentence or error.args[0].name()
        raise Transient(_UNREACHABLE.format(kafka.kafka_bootstrap_servers, reason)) from None
    except TimeoutError:
        raise Transient(_UNREACHABLE.format(kafka.kafka_bootstrap_servers, "no message in time")) from None


def _consumer(kafka: KafkaSettings, refusal: Refusal) -> Consumer:
    read_only = {"enable.auto.commit": False, "enable.partition.eof": True, "fetch.wait.max.ms": 50, "log_level": 0}
    settings: dict[str, Any] = consumer_settings(kafka, READER_GROUP) | read_only | {"error_cb": refusal}
    return Consumer(settings)


def _ends(consumer: Consumer, topics: Sequence[str]) -> dict[tuple[str, int], int]:
    """One past the last message of each partition that holds any."""
    existing = consumer.list_topics(timeout=REQUEST_SECONDS).topics
    for topic in topics:
        if topic not in existing:
            raise Misconfigured(f"The topic {topic} does not exist: run `prequal topics`.")
    partitions = [TopicPartition(topic, number) for topic in topics for number in existing[topic].partitions]
    marks = [(each, consumer.get_watermark_offsets(each, timeout=REQUEST_SECONDS)) for each in partitions]
    return {(each.topic, each.partition): mark[1] for each, mark in marks if mark and mark[0] < mark[1]}


def _until_ends(consumer: Consumer, ends: dict[tuple[str, int], int]) -> Iterator[Message]:
    consumer.assign([TopicPartition(*partition, OFFSET_BEGINNING) for partition in ends])
    unread = dict(ends)
    deadline = monotonic() + SILENCE_SECONDS
    while unread:
        for message in _poll(consumer):
            partition = message.topic() or "", message.partition() or 0
            if _at_end(message, unread.get(partition, 0)):
                unread.pop(partition, None)
            if message.error() is None and (message.offset() or 0) < ends[partition]:
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
    if error.code() in {KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION}:
        raise KafkaException(error)
    return False  # the client recovers by itself, or no message comes and the deadline passes
