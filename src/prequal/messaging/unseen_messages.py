"""When nothing comes to a consumer: whether there is nothing, its client overlooks it, or a transaction holds it back.

Invariant: a member that is one too many, or has nothing to read, is no reason for anything.
"""

import contextlib
from collections.abc import Set as AbstractSet
from time import monotonic

from confluent_kafka import Consumer, KafkaException, TopicPartition

from prequal.messaging import consumer_lag
from prequal.messaging.offset_tracker import OffsetTracker, Partition
from prequal.telemetry import metrics

CHECK_EVERY_SECONDS = 5.0
CHECK_UNASSIGNED_SECONDS = 2.0
ANSWER_SECONDS = 1.0
UNANSWERED_MAX = 5
"""So many looks in a row may find the broker, and not what the group has stored there."""


class Overlooked:
    """Whether a client sees no messages though there are some.

    Attributes:
        topic_is_missing: whether the broker did not have the topic when it was looked for last.
    """

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self._check_at = 0.0
        self._was_found = False
        self._unanswered = 0
        self._unread_before: dict[int, int] = {}
        self.topic_is_missing = False

    @property
    def is_due(self) -> bool:
        """Whether it is time to look."""
        return monotonic() >= self._check_at

    def begin(self) -> None:
        """The client joins the group: what was seen before says nothing any more."""
        self._was_found = False
        self._unanswered = 0
        self._unread_before = {}

    def assigned(self, *, any_of_the_topic: bool) -> None:
        """The client was given partitions, `any_of_the_topic` among them or none."""
        self._check_at = min(self._check_at, monotonic() + CHECK_UNASSIGNED_SECONDS)
        self.topic_is_missing &= not any_of_the_topic
        self._unread_before = {}

    def delivered(self) -> None:
        """Something came."""
        self._check_at, self._was_found = monotonic() + CHECK_EVERY_SECONDS, False

    def group_stands_still(self, client: Consumer) -> bool:
        """Whether no member of the group has stored an offset since the last look, though there is something unread.

        A client that reaches the broker, and look after look not its group's coordinator, has lost it: the same.

        Raises:
            KafkaException: the broker does not answer.
        """
        self._check_at = monotonic() + CHECK_UNASSIGNED_SECONDS
        found = client.list_topics(timeout=ANSWER_SECONDS).topics.get(self._topic)
        self.topic_is_missing = found is None
        partitions = [TopicPartition(self._topic, number) for number in found.partitions] if found else []
        try:
            places = _unread(client, partitions)
        except KafkaException:
            self._unanswered += 1
            return self._unanswered >= UNANSWERED_MAX
        self._unanswered = 0
        before, self._unread_before = self._unread_before, places
        return bool(places) and places == before

    def is_found_again(self, client: Consumer, partitions: AbstractSet[Partition]) -> bool:
        """Whether these partitions, which the client reads, held something unread at two looks in a row.

        Raises:
            KafkaException: the broker does not answer.
        """
        self._check_at = monotonic() + CHECK_EVERY_SECONDS
        before = self._was_found
        self._was_found = bool(_unread(client, [TopicPartition(*partition) for partition in partitions]))
        return before and self._was_found


def _unread(client: Consumer, partitions: list[TopicPartition]) -> dict[int, int]:
    """The offset that the group has stored, by partition, of those that hold messages behind it."""
    places = client.committed(partitions, timeout=ANSWER_SECONDS)
    held = zip(places, consumer_lag.reaches(client, places, ANSWER_SECONDS), strict=True)
    return {place.partition: place.offset for place, reach in held if consumer_lag.unread(place.offset, *reach)}


class HeldBack:
    """The partitions whose messages an open transaction holds back."""

    def __init__(self, offsets: OffsetTracker) -> None:
        self._offsets = offsets
        self._ends: dict[Partition, int] = {}
        self._ends_before: dict[Partition, int] = {}
        self._check_at = 0.0
        self.partitions: set[Partition] = set()

    def reach(self, partition: Partition, end: int) -> None:
        """The client has reached the end of a partition, as a reader of committed messages sees it."""
        self._ends[partition] = end
        self._offsets.reach(partition, end)

    def drop(self, revoked: AbstractSet[Partition]) -> None:
        """Forget partitions that are read no more."""
        for partition in revoked:
            self._ends.pop(partition, None)
        self.partitions -= revoked

    def find(self, client: Consumer, paused: AbstractSet[Partition]) -> None:
        """Find, when it is time to, partitions whose end has not moved though the broker has messages behind it.

        Only an open transaction does that: a reader of committed messages gets nothing behind its first message.
        """
        if monotonic() < self._check_at:
            return
        self._check_at = monotonic() + CHECK_EVERY_SECONDS
        read = {partition: end for partition, end in self._ends.items() if partition not in paused}
        ends = {partition: end for partition, end in read.items() if self._has_more(client, partition, end)}
        self.partitions = {partition for partition, end in ends.items() if self._ends_before.get(partition) == end}
        self._ends_before = ends
        metrics.PARTITIONS_IN_TRANSACTION.set(len(self.partitions))

    def _has_more(self, client: Consumer, partition: Partition, end: int) -> bool:
        if self._offsets.next(partition) > end:
            return False
        with contextlib.suppress(KafkaException):
            # The high watermark of the last fetch, without a question; a query would give the last stable offset.
            reach = client.get_watermark_offsets(TopicPartition(*partition), cached=True)
            return reach is not None and reach[1] > end
        return False
