"""The partitions of one topic that this process reads, and the Kafka client that reads them.

Invariant: an offset is stored only behind acknowledged messages, and nothing is stored of a partition that was revoked.
"""

import asyncio
import contextlib
import logging
import math
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import monotonic
from typing import TypeVar

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from prequal.core import failpoints, lifecycle
from prequal.core.batching import gathering_seconds
from prequal.core.failpoints import Place
from prequal.core.settings import ConsumerSettings
from prequal.messaging.kafka_clients import consumer_settings, is_fatal
from prequal.messaging.offset_tracker import OffsetTracker, Partition
from prequal.messaging.unseen_messages import HeldBack, Overlooked
from prequal.telemetry import metrics

log = structlog.get_logger()

UNACKNOWLEDGED_MAX = 5000
"""Messages consumed and not acknowledged at which everything is paused."""
TRACKED_MAX = 100_000
"""The same for those that are acknowledged too, and only wait for one before them: after a crash all come again."""
CLOSE_SECONDS = 3.0
END_EVENTS = {"enable.partition.eof": True}
"""The client says when it has reached a partition's end: for a reader of committed messages the last stable offset."""
REBUILD_EVERY_SECONDS = 15.0
REJOIN_SECONDS = 2.0
"""A client that joins its group again is mostly back in a fraction of a second; one that takes longer is not ready."""

T = TypeVar("T")


class Partitions:
    """What is assigned to this member of the group, for as long as the process lives.

    Every call of the client that may block runs in one thread. Its callbacks run inside a poll, while the loop waits or
    polls itself.

    Args:
        settings: where the brokers are, and this member's name when it is a static one.
        group: the consumer group.
        topic: the topic.
        offsets: which messages are acknowledged; filled by `track`, emptied by `store_offsets` and a revocation.
        on_revoked: called with the partitions that are no longer ours, before anybody else reads them.
    """

    def __init__(
        self,
        settings: ConsumerSettings,
        group: str,
        topic: str,
        offsets: OffsetTracker,
        on_revoked: Callable[[set[Partition]], None],
    ) -> None:
        self._settings = consumer_settings(settings, group, settings.kafka_group_instance_id) | END_EVENTS
        self._topic = topic
        self._offsets = offsets
        self._on_revoked = on_revoked
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="kafka")
        self._assigned: set[Partition] = set()
        self._paused: set[Partition] = set()
        self._pause_everything = False
        self._pause_these: set[Partition] = set()
        self._joined = False
        self._is_unfit = False
        self._is_left_out = False
        self._begun_again_at = -math.inf
        self._polled = 0
        self._overlooked = Overlooked(topic)
        self._held_back = HeldBack(offsets)

    def reason_not_ready(self) -> str | None:
        """Why nothing can be read; None when it can."""
        if self._overlooked.topic_is_missing:
            return f"the topic {self._topic} is missing: run `prequal topics`"
        if not self._joined and monotonic() >= self._begun_again_at + REJOIN_SECONDS:
            return "joining its consumer group"
        if self._held_back.partitions:
            numbers = ", ".join(str(number) for _, number in sorted(self._held_back.partitions))
            return f"partition {numbers} of {self._topic} is held by an open transaction"
        return None

    async def subscribe(self) -> None:
        """Join the group."""
        await self._in_thread(self._subscribe)

    async def poll(self, seconds: float, messages_max: int) -> list[Message]:
        """The messages and the client's notices that have come, in order; waits up to `seconds` for the first.

        Under load more have come after a short pause, and are taken without a change of threads.
        """
        messages: list[Message] = []
        if pause := gathering_seconds(self._polled):
            await asyncio.sleep(pause)
            messages = self._poll(0.0, messages_max)
        messages = messages or await self._in_thread(lambda: self._poll(seconds, messages_max))
        self._polled = len(messages)
        return messages

    def take_notice(self, message: Message) -> bool:
        """Whether it is no message but a notice of the client, of which it takes notice.

        Must be asked in the order of the poll, after the messages before it are tracked.
        """
        if (error := message.error()) is None:
            return False
        if _is_end(message):
            self._reach_end((message.topic() or "", message.partition() or 0), message.offset() or 0)
        else:
            self._is_unfit |= is_fatal(error)  # else the client retries by itself
            log.warning("retrying", target=self._topic, reason=error.name())
        return True

    def track(self, partition: Partition, offset: int) -> bool:
        """Enter a message as consumed; False when its partition was revoked in the very poll that brought it."""
        if partition not in self._assigned:
            return False
        self._offsets.track(partition, offset)
        return True

    def store_offsets(self) -> None:
        """Store how far everything is acknowledged; the client commits it within a second."""
        if ends := self._offsets.advance():
            failpoints.reached(Place.CONSUMER_BEFORE_OFFSET)
            with contextlib.suppress(KafkaException):  # _STATE: the partition was revoked meanwhile
                self._client.store_offsets(offsets=[TopicPartition(*partition, end) for partition, end in ends])
            failpoints.reached(Place.CONSUMER_AFTER_OFFSET)

    def pause(self, partitions: set[Partition], *, everything: bool) -> None:
        """Pause `partitions`, or everything, and resume the rest, where that changes anything.

        Paused partitions are polled all the same: a consumer that does not poll is expelled from its group.
        """
        self._pause_these = partitions
        is_full = self._offsets.unacknowledged > UNACKNOWLEDGED_MAX or len(self._offsets) > TRACKED_MAX
        self._pause_everything = everything or is_full
        self._set_pauses()

    async def check(self) -> None:
        """Rebuild a client that is of no more use; when nothing comes, find out whether there is nothing."""
        # Not sooner again: two clients with one instance id would fence each other for ever.
        if (self._is_unfit or self._is_left_out) and monotonic() >= self._begun_again_at + REBUILD_EVERY_SECONDS:
            await self._in_thread(self._rebuild if self._is_unfit else self._join_again)
        if not (self._assigned and len(self._offsets)) and self._overlooked.is_due:
            await self._in_thread(self._look_for_overlooked)
        self._held_back.find(self._client, self._paused)

    async def leave(self) -> None:
        """Close the client, for at most three seconds: on a frozen broker its own close does not return."""
        closed = asyncio.Event()
        loop = asyncio.get_running_loop()

        def close() -> None:
            self._client.close()
            loop.call_soon_threadsafe(closed.set)

        threading.Thread(target=close, daemon=True).start()
        await lifecycle.pause(closed, CLOSE_SECONDS)
        if not closed.is_set():
            lifecycle.abandon("the Kafka consumer")

    # ── in the client's thread ──────────────────────────────────────────────────────────────────────────────────────

    def _subscribe(self) -> None:
        self._client = Consumer(self._settings, logger=logging.getLogger("librdkafka"))
        self._join()

    def _join(self) -> None:
        self._is_left_out = self._joined = False
        self._overlooked.begin()
        self._client.subscribe(
            [self._topic], on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_revoke
        )

    def _join_again(self) -> None:
        """Make the group assign again.

        A new client under the same instance id would not: it is given the old member's assignment (KIP-345).
        """
        self._begin_again()
        log.warning("joining_again", topic=self._topic)
        self._client.unsubscribe()
        self._join()

    def _poll(self, seconds: float, messages_max: int) -> list[Message]:
        until = monotonic() + seconds
        first = self._client.poll(seconds)
        # An end alone is not worth a turn of the loop.
        while first is not None and _is_end(first) and self.take_notice(first):
            first = self._client.poll(min(max(until - monotonic(), 0.0), seconds))
        if first is None:
            return []
        self._overlooked.delivered()
        return [first, *self._client.consume(messages_max - 1, 0)]

    def _on_assign(self, client: Consumer, partitions: list[TopicPartition]) -> None:
        if client is not self._client:
            return
        client.incremental_assign(partitions)
        # The client keeps the pause of a partition that was revoked while it was paused, so each is resumed first.
        client.resume(partitions)
        assigned = {(each.topic, each.partition) for each in partitions if each.topic == self._topic}
        self._is_left_out |= len(assigned) < len(partitions)  # of a member that read another topic under this name
        self._overlooked.assigned(any_of_the_topic=bool(assigned))
        for partition in assigned:
            self._offsets.drop(partition)
        self._joined = True
        self._assigned |= assigned
        self._paused -= assigned
        self._set_pauses()
        log.info("assigned", topic=self._topic, partitions=sorted(partition.partition for partition in partitions))

    def _on_revoke(self, client: Consumer, partitions: list[TopicPartition]) -> None:
        if client is self._client:  # and not one that was replaced and is being closed
            self._drop({(partition.topic, partition.partition) for partition in partitions})

    def _drop(self, revoked: set[Partition]) -> None:
        self.store_offsets()
        for partition in revoked:
            self._offsets.drop(partition)
        self._held_back.drop(revoked)
        self._assigned -= revoked
        self._paused -= revoked
        self._on_revoked(revoked)
        log.info("revoked", topic=self._topic, partitions=sorted(number for _, number in revoked))

    def _set_pauses(self) -> None:
        wanted = set(self._assigned) if self._pause_everything else self._assigned & self._pause_these
        if wanted == self._paused:
            return
        with contextlib.suppress(KafkaException):  # revoked meanwhile: the next turn sees it
            self._client.pause([TopicPartition(*partition) for partition in wanted - self._paused])
            self._client.resume([TopicPartition(*partition) for partition in self._paused - wanted])
            self._paused = wanted

    def _rebuild(self) -> None:
        self._begin_again()
        log.error("consumer_rebuilt", topic=self._topic)
        self._drop(set(self._assigned))
        # Closing takes as long as the broker likes.
        threading.Thread(target=self._client.close, daemon=True).start()
        self._is_unfit = False
        self._subscribe()

    def _begin_again(self) -> None:
        self._begun_again_at = monotonic()
        metrics.RETRIES.labels("consumer").inc()

    def _look_for_overlooked(self) -> None:
        """Whether there is nothing to read, or this client does not see it.

        A member that joined while its topic was missing may stay without partitions for good, though asking for the
        topic shows it. It joins again when the whole group has left something unread, and stored nothing, between two
        looks; a member that is one too many beside others that read is kept.

        A client that knew a topic which was deleted may read nothing of the one that took its place: it takes the lower
        leader epoch for an outdated one (librdkafka 4898), or never noticed. It is rebuilt when it has left something
        unread at two looks in a row.
        """
        with contextlib.suppress(KafkaException):
            if self._assigned:
                read = self._assigned - self._paused
                self._is_unfit |= self._overlooked.is_found_again(self._client, read)
            else:
                self._is_left_out |= self._overlooked.group_stands_still(self._client)

    def _reach_end(self, partition: Partition, end: int) -> None:
        if partition in self._assigned:
            self._held_back.reach(partition, end)

    async def _in_thread(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call)


def _is_end(message: Message) -> bool:
    return (error := message.error()) is not None and error.code() == KafkaError._PARTITION_EOF
