"""The five topics of a test, recreated, and what is published to them and read from them."""

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

from confluent_kafka import Consumer, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import AlterConfigOpType, ConfigEntry, ConfigResource
from confluent_kafka.admin._listoffsets import OffsetSpec
from confluent_kafka.admin._resource import ResourceType

from harness.topics import GROUPS as GROUPS
from harness.topics import REPORTED as REPORTED
from harness.topics import SUBMITTED as SUBMITTED
from harness.waiting import PATIENCE_SECONDS, eventually
from prequal.core.settings import KafkaSettings
from prequal.core.topology import dead_letter_topic, topic_of
from prequal.domain.events import EventType
from prequal.messaging import topics
from prequal.messaging.kafka_clients import is_missing_topic, message_headers

DECIDED = topic_of(EventType.APPLICATION_DECIDED)
SUBMITTED_DLQ = dead_letter_topic(SUBMITTED)
REPORTED_DLQ = dead_letter_topic(REPORTED)
ALL_TOPICS = (SUBMITTED, REPORTED, DECIDED, SUBMITTED_DLQ, REPORTED_DLQ)

ANY_PARTITION = -1
"""The one that the key leads to."""
PARTITIONS = range(topics.PARTITIONS)
SECONDS = 15.0

Headers: TypeAlias = list[tuple[str, str | bytes | None]]


def clients_of(bootstrap_servers: str = "127.0.0.1:9092", **settings: object) -> KafkaSettings:
    """The settings of a client of these brokers, whatever the environment says."""
    return KafkaSettings.model_validate({"kafka_bootstrap_servers": bootstrap_servers, **settings})


@dataclass(frozen=True)
class RawMessage:
    """A message that a test publishes: to a partition of its choice, or to the one its key leads to."""

    value: bytes | None
    key: bytes | None = None
    headers: Headers = field(default_factory=list)
    partition: int | None = None


class Broker:
    """One broker, or what stands before it, and its topics."""

    def __init__(self, bootstrap_servers: str) -> None:
        self.bootstrap_servers = bootstrap_servers
        self._admin = self._new_admin()
        self._members: dict[str, Consumer] = {}

    def renew(self) -> None:
        """Make the five topics empty, and forget how far anybody had read them."""
        existing = set(ALL_TOPICS) & set(self._admin.list_topics(timeout=SECONDS).topics)
        if DECIDED in existing and not self.published(DECIDED):
            existing.remove(DECIDED)  # few tests publish decisions
        self.delete(*existing)
        eventually(lambda: all(self._committed(*each) == {} for each in GROUPS.items()))
        self.create()

    def create(self) -> None:
        """Make those of the five topics that are missing, and return when all can be asked."""
        topics.create(clients_of(self.bootstrap_servers))
        eventually(lambda: all(map(self._ends, ALL_TOPICS)))

    def delete(self, *names: str) -> None:
        """Delete topics, and return when they are gone."""
        if names:
            for gone in self._admin.delete_topics(list(names), operation_timeout=SECONDS).values():
                gone.result(SECONDS)

    def configure(self, topic: str, **settings: str) -> None:
        """Change settings of a topic, which may just have been made; underscores stand for dots."""
        entries = [
            ConfigEntry(name.replace("_", "."), value, incremental_operation=AlterConfigOpType.SET)
            for name, value in settings.items()
        ]
        resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=entries)

        def is_known() -> bool:
            (done,) = self._admin.incremental_alter_configs([resource]).values()
            try:
                done.result(SECONDS)
            except KafkaException as error:
                if not is_missing_topic(error.args[0]):
                    raise
                return False
            return True

        eventually(is_known)  # a broker may know of a topic before its configurations do

    def publish(self, topic: str, messages: Iterable[RawMessage]) -> None:
        """Produce, in order, and return when the broker holds all; partitions that are named are waited for."""
        failures: list[object] = []

        def delivered(error: object, _: Message) -> None:
            if error is not None:
                failures.append(error)

        producer = Producer(
            {"bootstrap.servers": self.bootstrap_servers, "linger.ms": 0, "message.max.bytes": 2_000_000}
        )
        messages = list(messages)
        if partitions := [each.partition + 1 for each in messages if each.partition is not None]:
            # After they were made, those of a topic are known to the controller first.
            eventually(lambda: len(producer.list_topics(topic, SECONDS).topics[topic].partitions) >= max(partitions))
        for message in messages:
            where = ANY_PARTITION if message.partition is None else message.partition
            producer.produce(topic, message.value, message.key, where, headers=message.headers, on_delivery=delivered)
        assert producer.flush(SECONDS) == 0
        assert not failures, failures

    def read(self, topic: str, count: int, within: float = PATIENCE_SECONDS) -> list[Message]:
        """The first messages of a topic, at least `count`, all that are there; failing when they do not come in time.

        Order is kept within a partition.
        """
        found: list[Message] = []
        deadline = time.monotonic() + within
        consumer = self._reader(topic)
        try:
            while len(found) < count or sum(end for end in self.ends(topic).values()) > len(found):
                in_time = time.monotonic() < deadline
                assert in_time, f"{len(found)} of {count} messages came of {topic}, which ends at {self.ends(topic)}"
                found += [message for message in consumer.consume(1000, 0.1) if message.error() is None]
        finally:
            consumer.close()
        return found

    async def arrived(self, topic: str, count: int, within: float = PATIENCE_SECONDS) -> list[Message]:
        """`read`, for tests whose own event loop has to go on meanwhile."""
        return await asyncio.to_thread(self.read, topic, count, within)

    def ends(self, topic: str) -> dict[int, int]:
        """The next offset of each partition; a leader that has just changed is asked once more."""
        return eventually(lambda: self._ends(topic))

    def _ends(self, topic: str) -> dict[int, int]:
        """The same, or nothing when a partition's leader cannot say."""
        latest: OffsetSpec = OffsetSpec.latest()  # type: ignore[no-untyped-call]
        wanted = {TopicPartition(topic, number): latest for number in PARTITIONS}
        found = self._admin.list_offsets(wanted).items()
        try:
            return {place.partition: future.result(SECONDS).offset for place, future in found}
        except KafkaException:
            self._admin = self._new_admin()  # the old one goes on asking with the leader's epoch that it knows
            return {}

    def published(self, topic: str) -> int:
        """How many messages a topic holds."""
        return sum(self.ends(topic).values())

    def committed(self, group: str, topic: str = "") -> int:
        """How many messages of a topic, its own by default, a group has behind it."""
        return sum(self._committed(group, topic or GROUPS[group]).values())

    def forget(self, group: str) -> None:
        """Ask no more for a group."""
        if (member := self._members.pop(group, None)) is not None:
            member.close()

    def lag(self) -> int:
        """How many messages of this test the two services have not behind them.

        Of a topic that was recreated a group may still hold the old one's offset, which is past the end.
        """
        return sum(
            max(0, end - self._committed(group, topic).get(partition, 0))
            for group, topic in GROUPS.items()
            for partition, end in self.ends(topic).items()
        )

    def _committed(self, group: str, topic: str) -> dict[int, int]:
        # By a consumer that never joins: librdkafka 2.16 dies of the admin client asking for a group that is new.
        if group not in self._members:
            settings = {"bootstrap.servers": self.bootstrap_servers, "group.id": group, "log_level": 0}
            self._members[group] = Consumer(settings)
        wanted = [TopicPartition(topic, number) for number in PARTITIONS]
        try:
            places = self._members[group].committed(wanted, timeout=SECONDS)
        except KafkaException:
            return {}
        return {place.partition: place.offset for place in places if place.offset >= 0}

    def _new_admin(self) -> AdminClient:
        return AdminClient({"bootstrap.servers": self.bootstrap_servers, "log_level": 0})

    def _reader(self, topic: str) -> Consumer:
        consumer = Consumer(
            {
                "bootstrap.servers": self.bootstrap_servers,
                "group.id": "tests-read-and-never-commit",
                "enable.auto.commit": False,
                "fetch.wait.max.ms": 20,
                "fetch.message.max.bytes": 2_000_000,
                "log_level": 0,
            }
        )
        consumer.assign([TopicPartition(topic, number, 0) for number in PARTITIONS])
        return consumer


def headers_of(message: Message) -> dict[str, str]:
    """A message's headers as text."""
    return {name: bytes(value or b"").decode() for name, value in message_headers(message)}  # type: ignore[arg-type]
