"""How far the consumer groups are behind, and how many dead letters there are, as the broker knows it.

Invariant: reads offsets without joining a group, so nothing is rebalanced, and waits at most seconds for an answer.
"""

from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from typing import NamedTuple, TypeAlias

from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]  # not in its __all__

from prequal.core.settings import KafkaSettings
from prequal.core.topology import GROUPS, dead_letter_topic
from prequal.messaging.kafka_clients import common_settings
from prequal.messaging.offset_tracker import Partition

ASK_SECONDS = 3.0

Place: TypeAlias = tuple[str, str, str]
"""Group, topic and partition."""

Spans: TypeAlias = dict[Partition, tuple[int, int]]
"""By topic and partition: the first offset that it holds, and one past the last."""


class Held(NamedTuple):
    """What partitions hold, and when the first message of each was written, by the broker's clock."""

    spans: Spans
    since: dict[Partition, datetime]
    """What bears an earlier time lay in an earlier topic of the same name; nothing of a partition that is empty."""


def by_group(kafka: KafkaSettings) -> dict[str, int]:
    """Messages that each group has not committed yet. Blocks for seconds when the broker does not answer.

    Raises:
        KafkaException: it does not answer.
    """
    with closing(Offsets(kafka)) as offsets:
        return offsets.by_group()


def unread(committed: int, low: int, high: int) -> int:
    """Messages that a group has not committed in a partition that reaches from `low` to `high`.

    All of them when its committed offset lies outside: then it is of an earlier life of the topic, or there is none.
    """
    return high - committed if low <= committed <= high else high - low


class Offsets:
    """The offsets as the broker knows them. Every question blocks, for seconds when the broker is away.

    A topic that is missing is left out of the answers.
    """

    def __init__(self, kafka: KafkaSettings) -> None:
        # Errors are raised, so librdkafka need not log them as well.
        self._settings = common_settings(kafka) | {"client.id": "prequal-lag", "log_level": 0}
        self._consumers: dict[str, Consumer] = {}

    def lag(self) -> dict[Place, int]:
        """Messages that each group has not committed: ends of the partitions less its committed offsets.

        Raises:
            KafkaException: the broker does not answer.
        """
        return {
            (group, topic, str(place.partition)): unread(place.offset, low, high)
            for topic, group in GROUPS.items()
            for place, (low, high) in self._places(topic, group)
        }

    def by_group(self) -> dict[str, int]:
        """`lag` summed over each group's partitions. Raises what `lag` does."""
        behind = dict.fromkeys(GROUPS.values(), 0)
        for (group, _, _), messages in self.lag().items():
            behind[group] += messages
        return behind

    def dead_letters(self) -> dict[str, int]:
        """Messages that each dead-letter topic holds.

        Raises:
            KafkaException: the broker does not answer.
        """
        stored: dict[str, int] = {}
        for (topic, _), (low, high) in self.dead_letter_spans().items():
            stored[topic] = stored.get(topic, 0) + high - low
        return stored

    def dead_letter_spans(self) -> Spans:
        """From where to where each partition of the dead-letter topics reaches. Raises what `dead_letters` does."""
        spans: Spans = {}
        for source, group in GROUPS.items():
            topic, consumer = dead_letter_topic(source), self._consumer(group)
            places = _partitions(consumer, topic)
            for place, span in zip(places, reaches(consumer, places, ASK_SECONDS), strict=True):
                spans[topic, place.partition] = span
        return spans

    def dead_letters_held(self) -> Held:
        """What the dead-letter topics hold, and since when. Raises what `dead_letters` does."""
        spans = self.dead_letter_spans()
        return Held(spans, first_times(AdminClient(self._settings), spans))

    def close(self) -> None:
        """Close the connections; the next question opens others."""
        while self._consumers:
            self._consumers.popitem()[1].close()

    def _places(self, topic: str, group: str) -> list[tuple[TopicPartition, tuple[int, int]]]:
        """Each partition with the group's committed offset, and where the partition begins and ends."""
        consumer = self._consumer(group)
        partitions = _partitions(consumer, topic)
        if not partitions:
            return []
        committed = consumer.committed(partitions, timeout=ASK_SECONDS)
        return list(zip(committed, reaches(consumer, committed, ASK_SECONDS), strict=True))

    def _consumer(self, group: str) -> Consumer:
        # A consumer that never joins: librdkafka 2.16 aborts when the admin client asks for the offsets of a new group.
        if group not in self._consumers:
            self._consumers[group] = Consumer(self._settings | {"group.id": group})
        return self._consumers[group]


def first_times(admin: AdminClient, spans: Spans) -> dict[Partition, datetime]:
    """When the first message of each partition that holds any was written, by the broker's clock. Blocks for seconds.

    Raises:
        KafkaException, TimeoutError: the broker does not answer.
    """
    asked = {TopicPartition(*place): OffsetSpec.for_timestamp(0) for place, (low, high) in spans.items() if low < high}
    if not asked:
        return {}
    # A consumer's `offsets_for_times` leaves out the time that the broker answers.
    answers = admin.list_offsets(asked, request_timeout=ASK_SECONDS)
    first = {(place.topic, place.partition): answer.result(2 * ASK_SECONDS) for place, answer in answers.items()}
    return {place: datetime.fromtimestamp(found.timestamp / 1000, UTC) for place, found in first.items()}


def _partitions(consumer: Consumer, topic: str) -> list[TopicPartition]:
    """Those of a topic; none while it is missing."""
    numbers = consumer.list_topics(topic, ASK_SECONDS).topics[topic].partitions
    return [TopicPartition(topic, number) for number in numbers]


def reaches(consumer: Consumer, places: Sequence[TopicPartition], seconds: float) -> list[tuple[int, int]]:
    """The first offset of each of these partitions, and one past the last, in two requests to each of their brokers.

    `get_watermark_offsets` makes two for each partition.

    Raises:
        KafkaException: a partition has no leader, or it does not answer within so many seconds a request.
    """
    begins, ends = (_offsets(consumer, places, which, seconds) for which in (OFFSET_BEGINNING, OFFSET_END))
    return list(zip(begins, ends, strict=True))


def _offsets(consumer: Consumer, places: Sequence[TopicPartition], which: int, seconds: float) -> list[int]:
    if not places:
        return []
    asked = [TopicPartition(place.topic, place.partition, which) for place in places]
    found = {(each.topic, each.partition): each for each in consumer.offsets_for_times(asked, timeout=seconds)}
    for each in found.values():
        if each.error is not None:
            raise KafkaException(each.error)
    return [found[place.topic, place.partition].offset for place in places]
