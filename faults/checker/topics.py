"""Reads the topics from beginning to end, as a consumer without a group would, and how far the groups are.

Invariant: no group is joined and no offset is stored.
"""

import operator
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, Consumer, Message, TopicPartition

from faults.checker.evidence import Record
from harness.topics import GROUPS

READ_SECONDS = 30.0
ASK_SECONDS = 30.0


class Unread(Exception):
    """The broker did not give all that it has in time."""


@contextmanager
def reader(bootstrap_servers: str, group: str = "faults-checker") -> Iterator[Consumer]:
    """A consumer that never joins: `group` is whom it asks about."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap_servers,
            "group.id": group,
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "fetch.wait.max.ms": 20,
            "fetch.message.max.bytes": 2_000_000,
            "log_level": 0,
        }
    )
    try:
        yield consumer
    finally:
        consumer.close()


def records(bootstrap_servers: str, topics: Iterable[str]) -> tuple[Record, ...]:
    """Everything that these topics hold now, in order within a partition; a topic that is missing holds nothing.

    Raises:
        Unread: it did not come within half a minute.
    """
    with reader(bootstrap_servers) as consumer:
        filled = [mark for topic in topics for mark in _watermarks(consumer, topic) if mark[2] > mark[1]]
        consumer.assign([TopicPartition(*place, low) for place, low, _ in filled])
        return tuple(_read(consumer, {place: end for place, _, end in filled}))


def held(bootstrap_servers: str, topics: Iterable[str]) -> int:
    """How many messages these topics hold."""
    with reader(bootstrap_servers) as consumer:
        return sum(high - low for topic in topics for _, low, high in _watermarks(consumer, topic))


def lag(bootstrap_servers: str) -> dict[str, int]:
    """How far each group's committed offsets are behind the ends of its topic, by the broker's own word."""
    return {group: _lag(bootstrap_servers, topic, group) for group, topic in GROUPS.items()}


def _lag(bootstrap_servers: str, topic: str, group: str) -> int:
    # A consumer that never joins: librdkafka 2.16 dies of the admin client's question for a group that is new.
    with reader(bootstrap_servers, group) as consumer:
        marks = _watermarks(consumer, topic)
        places = consumer.committed([TopicPartition(*place) for place, _, _ in marks], timeout=ASK_SECONDS)
        committed = {(place.topic, place.partition): place.offset for place in places}
        return sum(max(0, high - max(low, committed[place])) for place, low, high in marks)


def _watermarks(consumer: Consumer, topic: str) -> list[tuple[tuple[str, int], int, int]]:
    """Each partition with its first offset and the next one."""
    about = consumer.list_topics(topic, timeout=ASK_SECONDS).topics[topic]
    places = [(topic, number) for number in sorted(about.partitions)] if about.error is None else []
    return [(place, *consumer.get_watermark_offsets(TopicPartition(*place), timeout=ASK_SECONDS)) for place in places]


def _read(consumer: Consumer, wanted: dict[tuple[str, int], int]) -> Iterator[Record]:
    left = dict(wanted)
    deadline = time.monotonic() + READ_SECONDS
    while left:
        if time.monotonic() > deadline:
            raise Unread(f"the broker did not give all it has within {READ_SECONDS:g} s; {sorted(left)} are missing")
        for message in consumer.consume(1000, 0.1):
            if message.error() is None:
                record = _record(message)
                yield record
                if record.offset + 1 >= wanted[record.topic, record.partition]:
                    left.pop((record.topic, record.partition), None)


def _record(message: Message) -> Record:
    topic, partition, offset = message.topic(), message.partition(), message.offset()
    assert topic is not None
    assert partition is not None
    assert offset is not None
    headers = _headers(message)
    kind, milliseconds = message.timestamp()
    appended_ms = milliseconds if kind == TIMESTAMP_LOG_APPEND_TIME else None
    return Record(topic, partition, offset, _bytes(message.key()), _bytes(message.value()), headers, appended_ms)


def _bytes(value: str | bytes | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value


def _headers(message: Message) -> tuple[tuple[str, bytes | None], ...]:
    """Its headers; none where the client cannot decode them. Asked again it would end the process."""
    try:
        headers: Any = operator.methodcaller("headers")(message) or ()
    except SystemError:
        return ()
    return tuple((name, _bytes(value)) for name, value in headers)
