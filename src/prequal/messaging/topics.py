"""The topics, created on purpose: three for events, two for dead letters.

Invariant: running it again changes nothing, and no partition is ever taken away.
"""

from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, NamedTuple

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewPartitions, NewTopic

from prequal.core.errors import Misconfigured, Transient
from prequal.core.settings import KafkaSettings
from prequal.core.topology import GROUPS, TOPICS, dead_letter_topic
from prequal.messaging.kafka_clients import DEAD_LETTER_EXTRA_BYTES, MAX_MESSAGE_BYTES, Refusal, common_settings

PARTITIONS = 3
DAY_MS = 24 * 60 * 60 * 1000
SECONDS = 15.0
"""How long creating a topic may take."""
ANSWER_SECONDS = 8.0
"""How long listing the topics may take; of a broker that is away it never ends."""


class Done(NamedTuple):
    """The names of the topics that were created, and of those that got more partitions, sorted."""

    created: list[str]
    raised: list[str]


def create(kafka: KafkaSettings, replication_factor: int = 1, partitions: int = PARTITIONS) -> Done:
    """Create the topics that are missing, and give more partitions to those that have fewer.

    Consumers and producers find new partitions within ten seconds.

    Raises:
        Transient: the broker does not answer, for 8 seconds or, while it creates a topic or partitions, for 15.
        Misconfigured: the broker refuses, for instance because it has fewer nodes than replicas are asked for.
    """
    with _asking(kafka) as admin:
        existing = admin.list_topics(timeout=ANSWER_SECONDS).topics
        planned = plan(replication_factor, partitions)
        missing = [topic for topic in planned if topic.topic not in existing]
        smaller = [
            NewPartitions(topic.topic, partitions)
            for topic in planned
            if topic.topic in existing and len(existing[topic.topic].partitions) < partitions
        ]
        created = admin.create_topics(missing, operation_timeout=SECONDS) if missing else {}
        raised = admin.create_partitions(smaller, operation_timeout=SECONDS) if smaller else {}
        return Done(
            _done(created, "create the topic", KafkaError.TOPIC_ALREADY_EXISTS),
            _done(raised, f"make {partitions} partitions of", KafkaError.INVALID_PARTITIONS),
        )


@contextmanager
def _asking(kafka: KafkaSettings) -> Iterator[AdminClient]:
    """A client that asks the brokers. Raises Transient when they do not answer."""
    # librdkafka would write the same to stderr as the sentence below, forty lines a second.
    refusal = Refusal()
    settings: dict[str, Any] = common_settings(kafka) | {"log_level": 0, "error_cb": refusal}
    admin = AdminClient(settings)
    try:
        yield admin
    except KafkaException as error:
        admin.poll(0)  # has the callback called
        reason = refusal.sentence or error.args[0].str()
        raise Transient(f"Kafka at {kafka.kafka_bootstrap_servers} does not answer: {reason}") from None


def plan(replication_factor: int = 1, partitions: int = PARTITIONS) -> list[NewTopic]:
    """The five topics as they should be: events for 7 days, dead letters for 30 and with room for their headers.

    A message of that age is deleted within another day, with its segment.
    """
    common = {
        "min.insync.replicas": str(max(1, replication_factor - 1)),
        # The broker's time, not the publisher's: it refuses messages that are dated more than an hour ahead.
        "message.timestamp.type": "LogAppendTime",
        # Kafka deletes whole segments, and a quiet one stays open for a week: 7 days of retention would be 14.
        "segment.ms": str(DAY_MS),
    }
    topics = []
    for source in TOPICS:
        events = {"retention.ms": str(7 * DAY_MS), "max.message.bytes": str(MAX_MESSAGE_BYTES)}
        dead_letters = {
            "retention.ms": str(30 * DAY_MS),
            "max.message.bytes": str(MAX_MESSAGE_BYTES + DEAD_LETTER_EXTRA_BYTES),
        }
        topics.append(NewTopic(source, partitions, replication_factor, config=common | events))
        if source in GROUPS:
            dead_letter = dead_letter_topic(source)
            topics.append(NewTopic(dead_letter, partitions, replication_factor, config=common | dead_letters))
    return topics


def _done(asked: dict[str, Future[None]], what: str, done_by_another: int) -> list[str]:
    """The topics with which it was done, sorted, once the brokers have answered for each."""
    done = []
    for name, future in asked.items():
        try:
            future.result(SECONDS)
            done.append(name)
        except KafkaException as error:
            if error.args[0].code() in (KafkaError._TIMED_OUT, KafkaError.REQUEST_TIMED_OUT):
                raise  # it was slow, and may simply be asked again
            if error.args[0].code() != done_by_another:
                raise Misconfigured(f"Kafka refuses to {what} {name}: {error.args[0].str()}") from None
    return sorted(done)
