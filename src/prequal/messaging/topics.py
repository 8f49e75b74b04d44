"""The topics, made on purpose: two for facts, two for dead letters.

Invariant: running it again changes nothing.
"""

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from prequal.core.errors import Misconfigured, Transient
from prequal.core.settings import KafkaSettings
from prequal.core.topology import dead_letter_topic, topic_of
from prequal.domain.events import EventType
from prequal.messaging.kafka_clients import DEAD_LETTER_EXTRA_BYTES, MAX_MESSAGE_BYTES, common_settings

PARTITIONS = 3
DAY_MS = 24 * 60 * 60 * 1000
SECONDS = 15.0
"""How long a topic may take to be made."""
ANSWER_SECONDS = 8.0
"""How long a broker may take to say which topics it has; one that is away never does."""


def create(kafka: KafkaSettings, replication_factor: int = 1) -> list[str]:
    """Create what is missing; returns the names that were.

    Raises:
        Transient: the broker does not answer, for 8 seconds or, while it makes a topic, for 15.
        Misconfigured: the broker refuses, for instance because it has fewer nodes than copies are asked for.
    """
    # What librdkafka would write to stderr, forty lines a second, is no more than the sentence below.
    admin = AdminClient(common_settings(kafka) | {"log_level": 0})
    try:
        there = set(admin.list_topics(timeout=ANSWER_SECONDS).topics)
        missing = [topic for topic in plan(replication_factor) if topic.topic not in there]
        return sorted(_wait(admin, missing)) if missing else []
    except KafkaException as error:
        raise Transient(f"Kafka at {kafka.kafka_bootstrap_servers} does not answer: {error.args[0].str()}") from None


def plan(replication_factor: int = 1) -> list[NewTopic]:
    """The four topics as they should be: facts for 7 days, dead letters for 30 and with room for their headers.

    What has lain for so long is deleted within another day, with its segment.
    """
    common = {
        "min.insync.replicas": str(max(1, replication_factor - 1)),
        # The broker's time, not the publisher's: what is dated more than an hour ahead it would refuse.
        "message.timestamp.type": "LogAppendTime",
        # Kafka deletes whole segments, and leaves a quiet one open for a week: what is kept 7 days would lie for 14.
        "segment.ms": str(DAY_MS),
    }
    topics = []
    for source in (topic_of(event_type) for event_type in EventType):
        facts = {"retention.ms": str(7 * DAY_MS), "max.message.bytes": str(MAX_MESSAGE_BYTES)}
        dead = {
            "retention.ms": str(30 * DAY_MS),
            "max.message.bytes": str(MAX_MESSAGE_BYTES + DEAD_LETTER_EXTRA_BYTES),
        }
        topics.append(NewTopic(source, PARTITIONS, replication_factor, config=common | facts))
        topics.append(NewTopic(dead_letter_topic(source), PARTITIONS, replication_factor, config=common | dead))
    return topics


def _wait(admin: AdminClient, topics: list[NewTopic]) -> list[str]:
    made = []
    for name, future in admin.create_topics(topics, operation_timeout=SECONDS).items():
        try:
            future.result(SECONDS)
            made.append(name)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise Misconfigured(f"Kafka refuses to create the topic {name}: {error.args[0].str()}") from None
    return made
