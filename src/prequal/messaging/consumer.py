"""Takes messages in batches, has a room settle them, and moves the offsets after: the one loop both consumers run.

Invariant: a message is done, seen before, or a durable dead letter before its offset is stored.

    taken ──► settled: done | duplicate                                      offset moves
      │  └──► dead ──► dead-letter topic holds it                            offset moves
      ├──► a bug ──► tried again after 1, 2, 4 s ──► dead                    neighbours go on
      ├──► the surroundings failed ──► everything paused, tried again        the poll goes on
      └──► its key is unknown ──► read again later                           its partition alone is paused
"""

import asyncio
import contextlib
import logging
import math
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from time import monotonic, time
from typing import Generic, TypeVar
from uuid import UUID

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from prequal.core import failpoints, lifecycle
from prequal.core.backoff import Backoff
from prequal.core.errors import Invalid, Transient, UnknownKey
from prequal.core.failpoints import Place
from prequal.core.settings import ConsumerSettings
from prequal.core.topology import topic_of
from prequal.messaging import consumer_lag
from prequal.messaging.dead_letters import DeadLetter, DeadLetters
from prequal.messaging.events import Event
from prequal.messaging.handler import Handler, HandlerResult, Outcome
from prequal.messaging.kafka_clients import consumer_settings, is_fatal
from prequal.messaging.messages import Received, Undecodable, sane_header
from prequal.messaging.offset_tracker import OffsetTracker, Partition
from prequal.messaging.retries import RetrySchedule
from prequal.postgres.connections import describe
from prequal.telemetry import metrics, tracing
from prequal.telemetry.logs import where

log = structlog.get_logger()

POLL_SECONDS = 0.5
TRIES_AFTER_SECONDS = (1.0, 2.0, 4.0)
FIRST_BACKOFF_SECONDS, LAST_BACKOFF_SECONDS = 0.2, 2.0
DEAD_LETTER_RETRY_SECONDS = 2.0
DEAD_LETTER_POLL_SECONDS = 0.01
"""How long a poll may wait while a dead letter is on its way."""
KEY_RETRY_SECONDS = 5.0
UNACKNOWLEDGED_MAX = 5000
CLOSE_SECONDS = 3.0
REBUILD_EVERY_SECONDS = 15.0
RACES_MAX = 20
LOOK_EVERY_SECONDS = 5.0
LOOK_SECONDS = 1.0

E = TypeVar("E", bound=Event)
T = TypeVar("T")


class BatchConsumer(Generic[E]):
    """One consumer of one topic, for as long as the process lives."""

    def __init__(self, settings: ConsumerSettings, group: str, room: Handler[E]) -> None:
        self._settings = settings
        self._room = room
        self._client_settings = consumer_settings(settings, group, settings.kafka_group_instance_id)
        self._topic = topic_of(room.event_class.type)
        self._dead_letters = DeadLetters(settings)
        self._offsets = OffsetTracker()
        self._batch: list[Received[E] | Undecodable] = []
        self._retry_candidates = RetrySchedule[Received[E]]()
        self._waiting_for_key = RetrySchedule[Received[E]]()
        self._unpublished_dead_letters = RetrySchedule[DeadLetter]()
        self._publishing: dict[asyncio.Task[None], DeadLetter] = {}
        self._turned_away: set[tuple[Partition, int]] = set()
        self._consumed = {outcome: metrics.CONSUMED.labels(self._topic, outcome) for outcome in Outcome}
        self._dead_in_a_row = 0
        self._stopped = False
        self._joined = False
        self._backoff = Backoff(FIRST_BACKOFF_SECONDS, LAST_BACKOFF_SECONDS)
        self._not_before = 0.0
        self._assigned: set[Partition] = set()
        self._paused: set[Partition] = set()
        self._unfit = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="kafka")
        self._rebuild_at = 0.0
        self._look_at = 0.0
        self._overlooked = False
        self._topic_is_missing = False

    def reason_not_ready(self) -> str | None:
        """Why the service cannot do its work though its dependencies answer; None when it can."""
        if self._stopped:
            return f"stopped after {self._dead_in_a_row} dead letters in a row"
        if self._topic_is_missing:
            return f"the topic {self._topic} is missing: run `prequal topics`"
        if not self._joined:
            return "joining its consumer group"
        if self._turned_away:
            return f"{len(self._turned_away)} dead letters cannot be written"
        if self._waiting_for_key:
            return f"{len(self._partitions_without_key)} partitions wait for an encryption key"
        return None

    async def run(self, stop: asyncio.Event) -> None:
        """Consume until `stop`, then finish the batch in hand and leave the group."""
        await self._in_thread(self._subscribe)
        while not stop.is_set():
            await self._turn()
        await self._leave()

    async def _turn(self) -> None:
        """Take what has come, settle it, see to what is due, store the offsets."""
        self._admit(await self._in_thread(self._take))
        if not self._must_wait:
            try:
                await self._settle_batch()
                await self._see_to(self._retry_candidates, self._retry_candidates.due())
                await self._see_to(self._waiting_for_key, self._first_without_key())
                self._backoff.reset()
            except Transient as error:
                self._wait_out(error)
        self._publish_dead_letters()
        self._store_offsets()
        self._set_pauses()
        if self._unfit and monotonic() >= self._rebuild_at:
            await self._in_thread(self._rebuild)
        if not len(self._offsets) and monotonic() >= self._look_at:
            await self._in_thread(self._look)

    # ── taking ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _take(self) -> list[Message]:
        first = self._consumer.poll(self._seconds_to_wait())
        if first is None:
            return []
        return [first, *self._consumer.consume(self._settings.consumer_batch_max - 1, 0)]

    def _seconds_to_wait(self) -> float:
        """How long a poll may wait for a message: until something else is to be done, at most half a second."""
        if self._publishing:
            return DEAD_LETTER_POLL_SECONDS
        due = [self._unpublished_dead_letters.next_at()]
        if not self._stopped:
            due += [
                self._retry_candidates.next_at(),
                self._waiting_for_key.next_at(),
                self._not_before if self._batch else None,
            ]
        first = min((max(at, self._not_before) for at in due if at is not None), default=math.inf)
        return min(max(first - monotonic(), 0.0), POLL_SECONDS)

    def _admit(self, messages: Sequence[Message]) -> None:
        if messages:
            self._look_at, self._overlooked = monotonic() + LOOK_EVERY_SECONDS, False
        for message in messages:
            if (error := message.error()) is not None:
                self._note_error(error)
                continue
            taken = self._read(message)
            if taken.partition not in self._assigned:  # revoked in the very poll that brought it
                continue
            self._offsets.take(taken.partition, taken.offset)
            if tracing.is_on():
                self._begin_span(taken)
            self._batch.append(taken)

    def _read(self, message: Message) -> Received[E] | Undecodable:
        try:
            return Received(message, self._room.event_class.decode(message.value()))
        except Invalid as invalid:
            return Undecodable(message, invalid)

    def _begin_span(self, taken: Received[E] | Undecodable) -> None:
        taken.span = tracing.begin(f"process {self._topic}", "CONSUMER", taken.header("traceparent"))
        partition = str(taken.partition[1])
        taken.span.note({"messaging.destination.partition.id": partition, "messaging.kafka.offset": taken.offset})
        if isinstance(taken, Received):
            taken.span.note({"prequal.application_id": str(taken.event.application_id)})

    # ── settling ────────────────────────────────────────────────────────────────────────────────────────────────

    async def _settle_batch(self) -> None:
        """Settle all that is in hand; the same event twice takes two rounds, so that the inbox judges the second."""
        lost = 0
        oldest = next((taken for taken in self._batch if isinstance(taken, Received)), None)
        while self._batch and not self._stopped:
            before = len(self._batch)
            firsts: dict[UUID, Received[E]] = {}
            for taken in self._batch:
                if isinstance(taken, Received):
                    firsts.setdefault(taken.event.event_id, taken)
            await self._settle_round(list(firsts.values()))
            lost = lost + 1 if len(self._batch) == before else 0
            if lost >= RACES_MAX:
                raise Transient("some messages keep losing races against other consumers")
        if oldest is not None:
            _note_hops(oldest)

    async def _settle_round(self, batch: list[Received[E]]) -> None:
        results = dict(zip(map(id, batch), await self._verdicts(batch) if batch else [], strict=True))
        left = []
        for taken in self._batch:
            verdict = taken.invalid if isinstance(taken, Undecodable) else results.get(id(taken))
            if verdict is None or self._stopped:
                left.append(taken)
            else:
                self._apply(taken, verdict)
        self._batch = left

    async def _verdicts(self, batch: list[Received[E]]) -> list[HandlerResult | Exception]:
        """The room's results; when it fails on the whole batch, one message at a time, to find the culprits."""
        try:
            with tracing.batch(f"settle {self._topic}", [received.span.traceparent for received in batch]):
                return list(await self._room.settle(batch))
        except Transient:
            raise
        except Exception as error:
            if len(batch) == 1:
                return [error]
        return [(await self._verdicts([received]))[0] for received in batch]

    def _apply(self, taken: Received[E] | Undecodable, verdict: Outcome | Exception) -> None:
        """Turn a verdict into what happens next: the one place where that is decided."""
        match verdict:
            case Outcome():
                self._dead_in_a_row = 0
                self._offsets.settle(taken.partition, taken.offset)
                self._consumed[verdict].inc()
                taken.span.note({"prequal.outcome": verdict.value})
                taken.span.end()
            case Invalid():
                self._give_up_on(taken, verdict)
            case UnknownKey() if isinstance(taken, Received):
                self._hold(taken, verdict)
            case _ if isinstance(taken, Received):
                self._retry_later(taken, verdict)

    def _hold(self, received: Received[E], error: UnknownKey) -> None:
        if received.attempts == 1:
            place = {"topic": self._topic, "partition": received.partition[1], "offset": received.offset}
            log.critical("partition_paused", **place, reason=str(error))
        received.attempts += 1
        self._waiting_for_key.add(received, monotonic() + KEY_RETRY_SECONDS)

    def _retry_later(self, received: Received[E], error: Exception) -> None:
        log.error(
            "unexpected", topic=self._topic, offset=received.offset, attempt=received.attempts, error=where(error)
        )
        if received.attempts > len(TRIES_AFTER_SECONDS):
            words = f"failed {received.attempts} times: {describe(error)}"
            self._give_up_on(received, Invalid("unexpected_error", words))
            return
        self._retry_candidates.add(received, monotonic() + TRIES_AFTER_SECONDS[received.attempts - 1])
        received.attempts += 1

    def _first_without_key(self) -> list[Received[E]]:
        """Of each held partition the oldest message that is due: the others behind it wait for the same key."""
        return list({received.partition: received for received in reversed(self._waiting_for_key.due())}.values())

    async def _see_to(self, waiting: RetrySchedule[Received[E]], due: list[Received[E]]) -> None:
        """Give those of `waiting` whose time has come another try, each alone; one that must go on waiting says so."""
        for received in due:
            if self._stopped:
                return
            metrics.RETRIES.labels("message").inc()
            verdict = (await self._verdicts([received]))[0]
            waiting.remove(received)
            if verdict is None:
                self._batch.append(received)
            else:
                self._apply(received, verdict)

    def _wait_out(self, error: Transient) -> None:
        seconds = self._backoff.next()
        log.warning("waiting", what=self._topic, reason=str(error), seconds=round(seconds, 2))
        metrics.RETRIES.labels("batch").inc()
        self._not_before = monotonic() + seconds

    # ── dead letters ────────────────────────────────────────────────────────────────────────────────────────────

    def _give_up_on(self, taken: Received[E] | Undecodable, invalid: Invalid) -> None:
        """Put a message in the line to be buried; at the limit the consumer stops, until somebody restarts it."""
        self._dead_in_a_row += 1
        taken.span.end(invalid.kind)
        self._unpublished_dead_letters.add(
            DeadLetter(taken.message, invalid.kind, str(invalid), taken.attempts, taken.first_seen), 0.0
        )
        if self._dead_in_a_row >= self._settings.dead_letters_in_a_row_max:
            self._stopped = True
            log.critical("too_many_dead_letters", topic=self._topic, in_a_row=self._dead_in_a_row)
            metrics.CONSUMER_STOPPED.set(1)

    def _publish_dead_letters(self) -> None:
        """Send the letters that are due, beside the loop, and settle those that have arrived."""
        for letter in self._unpublished_dead_letters.due():
            self._unpublished_dead_letters.remove(letter)
            failpoints.reached(Place.CONSUMER_BEFORE_DEAD_LETTER)
            self._publishing[asyncio.create_task(self._dead_letters.publish(letter))] = letter
        for publication in [publication for publication in self._publishing if publication.done()]:
            self._dead_letter_published(self._publishing.pop(publication), publication.exception())

    def _dead_letter_published(self, letter: DeadLetter, error: BaseException | None) -> None:
        if error is not None:
            log.error("dead_letter_waits", topic=self._topic, reason=str(error))
            if letter.place in self._offsets:
                self._turned_away.add(letter.place)
                self._unpublished_dead_letters.add(letter, monotonic() + DEAD_LETTER_RETRY_SECONDS)
            return
        failpoints.reached(Place.CONSUMER_AFTER_DEAD_LETTER)
        self._turned_away.discard(letter.place)
        self._offsets.settle(letter.partition, letter.offset)
        metrics.DEAD_LETTERS.labels(self._topic, letter.kind).inc()
        metrics.CONSUMED.labels(self._topic, "dead").inc()
        place = {"topic": self._topic, "partition": letter.partition[1], "offset": letter.offset}
        correlation = sane_header(letter.message, "correlation_id")
        log.error("dead_letter", **place, kind=letter.kind, reason=letter.words, correlation_id=correlation)

    # ── the client (its callbacks run inside a poll, while the loop waits for it) ─────────────────────────────────

    @property
    def _must_wait(self) -> bool:
        return self._stopped or monotonic() < self._not_before

    @property
    def _partitions_without_key(self) -> set[Partition]:
        return {received.partition for received in self._waiting_for_key}

    def _subscribe(self) -> None:
        self._consumer = Consumer(self._client_settings, logger=logging.getLogger("librdkafka"))
        self._consumer.subscribe(
            [self._topic], on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_revoke
        )

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """A partition that was paused when it was revoked would stay so: say of each what it is to be."""
        if consumer is not self._consumer:
            return
        consumer.incremental_assign(partitions)
        consumer.resume(partitions)
        assigned = {(partition.topic, partition.partition) for partition in partitions}
        for partition in assigned:
            self._offsets.forget(partition)
        self._joined = True
        self._assigned |= assigned
        self._topic_is_missing = False
        self._paused -= assigned
        self._set_pauses()
        log.info("assigned", topic=self._topic, partitions=sorted(partition.partition for partition in partitions))

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        if consumer is self._consumer:  # and not one that was given up and is being closed
            self._let_go({(partition.topic, partition.partition) for partition in partitions})

    def _let_go(self, revoked: set[Partition]) -> None:
        self._store_offsets()
        for topic, number in revoked:
            self._offsets.forget((topic, number))
        self._assigned -= revoked
        self._paused -= revoked
        self._batch = [taken for taken in self._batch if taken.partition not in revoked]
        self._turned_away = {place for place in self._turned_away if place[0] not in revoked}
        for waiting in (self._retry_candidates, self._waiting_for_key, self._unpublished_dead_letters):
            waiting.drop(revoked)
        log.info("revoked", topic=self._topic, partitions=sorted(number for _, number in revoked))

    def _store_offsets(self) -> None:
        if ends := self._offsets.advance():
            failpoints.reached(Place.CONSUMER_BEFORE_OFFSET)
            with contextlib.suppress(KafkaException):  # _STATE: the partition was revoked meanwhile
                self._consumer.store_offsets(offsets=[TopicPartition(*partition, end) for partition, end in ends])
            failpoints.reached(Place.CONSUMER_AFTER_OFFSET)

    def _set_pauses(self) -> None:
        """Pause and resume what is assigned, where that changes anything."""
        all_of_them = self._must_wait or len(self._offsets) > UNACKNOWLEDGED_MAX
        wanted = self._assigned if all_of_them else self._assigned & self._partitions_without_key
        metrics.PARTITIONS_WITHOUT_KEY.set(len(self._partitions_without_key))
        if wanted == self._paused:
            return
        with contextlib.suppress(KafkaException):  # revoked meanwhile: the next turn sees it
            self._consumer.pause([TopicPartition(*partition) for partition in wanted - self._paused])
            self._consumer.resume([TopicPartition(*partition) for partition in self._paused - wanted])
            self._paused = set(wanted)

    def _note_error(self, error: KafkaError) -> None:
        self._unfit |= is_fatal(error)
        log.warning("waiting", what=self._topic, reason=error.name())

    def _rebuild(self) -> None:
        self._rebuild_at = monotonic() + REBUILD_EVERY_SECONDS  # two with one instance id would fence each other
        log.error("consumer_rebuilt", topic=self._topic)
        metrics.RETRIES.labels("consumer").inc()
        self._let_go(set(self._assigned))
        threading.Thread(target=self._consumer.close, daemon=True).start()
        self._unfit = self._joined = self._overlooked = False
        self._subscribe()

    def _look(self) -> None:
        """When nothing comes: whether there is nothing, or this client does not see it.

        Who was given nothing because its topic was not there yet hears of it in no other way than by asking for it.

        A client that knew a topic which was deleted may read nothing of the one that took its place: it holds the lower
        leader epoch for an outdated word (librdkafka 4898), or never noticed. It is built anew when it has left
        something unread at two looks in a row.
        """
        self._look_at = monotonic() + LOOK_EVERY_SECONDS
        with contextlib.suppress(KafkaException):
            if not self._assigned:
                self._topic_is_missing = self._topic not in self._consumer.list_topics(timeout=LOOK_SECONDS).topics
                return
            overlooked = self._overlooks_something()
            self._unfit |= self._overlooked and overlooked
            self._overlooked = overlooked

    def _overlooks_something(self) -> bool:
        readable = [TopicPartition(*partition) for partition in self._assigned - self._paused]
        places = self._consumer.committed(readable, timeout=LOOK_SECONDS)
        ends = [self._consumer.get_watermark_offsets(place, LOOK_SECONDS) for place in places]
        return any(consumer_lag.unread(place.offset, *reach) for place, reach in zip(places, ends, strict=True))

    async def _in_thread(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call)

    async def _leave(self) -> None:
        """Close the client for at most three seconds: on a frozen broker its own close does not return."""
        closed = asyncio.Event()
        loop = asyncio.get_running_loop()

        def close() -> None:
            self._consumer.close()
            loop.call_soon_threadsafe(closed.set)

        threading.Thread(target=close, daemon=True).start()
        await lifecycle.pause(closed, CLOSE_SECONDS)
        for publication in self._publishing:
            publication.cancel()
        if not closed.is_set():
            lifecycle.abandon("the Kafka consumer")
        self._dead_letters.close()
        await self._room.close()


def _note_hops(received: Received[E]) -> None:
    """Measure how a settled message came here; a fact that was told again carries the time of its first telling."""
    topic, published_at = received.partition[0], received.message.timestamp()[1] / 1000
    metrics.HOP_SECONDS.labels(topic, "outbox").observe(max(0.0, published_at - received.event.happened_at.timestamp()))
    metrics.HOP_SECONDS.labels(topic, "topic").observe(max(0.0, time() - published_at))
