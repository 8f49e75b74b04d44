"""Skips one message that no consumer gets past, neither handled nor a dead letter.

Invariant: exactly one offset is skipped, of a group without running consumers, and only after the record is committed.
"""

import asyncio
from contextlib import closing

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from prequal.core.errors import Transient, UsageError
from prequal.core.settings import StoresSettings
from prequal.core.topology import GROUPS
from prequal.messaging.kafka_clients import consumer_settings
from prequal.ops import queries
from prequal.ops.dead_letter_resolution import connection_for_dlq, read_reason
from prequal.record.acts import Actor, record_act

ANSWER_SECONDS = 5.0

_HAS_MEMBERS = {
    KafkaError.UNKNOWN_MEMBER_ID,
    KafkaError.REBALANCE_IN_PROGRESS,
    KafkaError.ILLEGAL_GENERATION,
    KafkaError.FENCED_INSTANCE_ID,
}


def skip(settings: StoresSettings, topic: str, partition: int, offset: int, *, because: str, by: Actor) -> None:
    """Let the consumer group of `topic` go on behind the message at `offset`, which must be its next one.

    Args:
        settings: the database and the brokers.
        topic: one of the topics that are consumed.
        partition: its partition.
        offset: the offset of the message, as the log and `/ready` name it.
        because: the reason, which is recorded.
        by: the person, who is recorded.

    Raises:
        UsageError: it is not the group's next message, the group has running consumers, or `because` is no reason;
            nothing was skipped.
        Transient: Kafka or the database does not answer; nothing was skipped.
    """
    reason = read_reason(because)
    place = TopicPartition(topic, partition, offset)
    try:
        with closing(Consumer(consumer_settings(settings, GROUPS[topic]) | _READ_ONLY)) as consumer:
            _refuse_unless_next(consumer, place)
            _commit(consumer, place)  # changes nothing, and fails while the group has members
            asyncio.run(_record(settings, place, reason, by))
            _commit(consumer, TopicPartition(topic, partition, offset + 1))
    except KafkaException as error:
        answer = error.args[0].name()
        raise Transient(f"Kafka at {settings.kafka_bootstrap_servers} does not answer: {answer}.") from None


_READ_ONLY = {"enable.auto.commit": False, "log_level": 0}


def _refuse_unless_next(consumer: Consumer, place: TopicPartition) -> None:
    if place.partition not in consumer.list_topics(place.topic, ANSWER_SECONDS).topics[place.topic].partitions:
        raise UsageError(f"{place.topic} has no partition {place.partition}; nothing was skipped.")
    (committed,) = consumer.committed([place], timeout=ANSWER_SECONDS)
    low, high = consumer.get_watermark_offsets(place, timeout=ANSWER_SECONDS)
    position = committed.offset if low <= committed.offset <= high else low
    if place.offset != position:
        group = GROUPS[place.topic]
        raise UsageError(f"The next offset of {group} there is {position}, not {place.offset}; nothing was skipped.")
    if position == high:
        raise UsageError(f"There is no message at offset {position} yet; nothing was skipped.")


def _commit(consumer: Consumer, place: TopicPartition) -> None:
    try:
        consumer.commit(offsets=[place], asynchronous=False)
    except KafkaException as error:
        if error.args[0].code() not in _HAS_MEMBERS:
            raise
        raise UsageError(
            f"{GROUPS[place.topic]} has running consumers: stop them, wait ten seconds, and try again; "
            f"nothing was skipped."
        ) from None


async def _record(settings: StoresSettings, place: TopicPartition, reason: str, by: Actor) -> None:
    async with connection_for_dlq(settings) as connection, connection.transaction():
        await queries.record_skip(connection, place.topic, place.partition, place.offset, reason, by.name)
        subject = f"{place.topic}:{place.partition}:{place.offset}"
        await record_act(connection, by, "message_skipped", "message", subject, {"reason": reason})
