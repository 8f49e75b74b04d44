"""Consumes messages in batches, has a handler apply them, and moves the offsets after that: the loop of a consumer.

Invariant: a message is done, seen before, a durable dead letter, or one that is published again, before its offset is
stored.

    consumed ──► handled: done | duplicate                                    acknowledged
      │  └─────► invalid ──► dead-letter topic holds it                       acknowledged
      ├──► the handler failed ──► retried after 1, 2, 4 s ──► dead letter     the other messages go on
      ├──► an infrastructure failure ──► everything paused, batch retried     the poll goes on
      ├──► its key is unknown ──► retried later                               its partition alone is paused
      └──► an answer is on its way ──► handled again when it has come         the other messages go on
                                  └──► it is late, and others wait behind it  postponed: it is published again
"""

import asyncio
import math
from time import monotonic, time
from typing import Generic, TypeVar
from uuid import UUID

import structlog

from prequal.core.backoff import Backoff
from prequal.core.errors import Invalid, Transient, UnknownKey
from prequal.core.settings import ConsumerSettings
from prequal.core.topology import topic_of
from prequal.messaging.dead_letter_publisher import DeadLetter, DeadLetterLimit, DeadLetterPublisher
from prequal.messaging.events import Event
from prequal.messaging.handler import ACKNOWLEDGED, Awaiting, Handler, HandlerResult, Outcome
from prequal.messaging.messages import Received, Undecodable, decoded
from prequal.messaging.offset_tracker import OffsetTracker, Partition
from prequal.messaging.partitions import Partitions
from prequal.messaging.retries import Retries
from prequal.telemetry import metrics, tracing

log = structlog.get_logger()

POLL_SECONDS = 0.5
DEAD_LETTER_POLL_SECONDS = 0.01
"""How long a poll may wait while a dead letter is on its way."""
ANSWER_POLL_SECONDS = 0.01
"""How long a poll may wait while a handler's answer is on its way."""
FIRST_BACKOFF_SECONDS, LAST_BACKOFF_SECONDS = 0.2, 2.0
HELD_BACK_MAX = 1000
"""Acknowledged messages, of all partitions, that may wait behind one whose answer is late."""
LATE_SECONDS = 30.0
"""An answer that takes longer is late: with more than `HELD_BACK_MAX` behind it, its message is postponed."""
RACES_MAX = 20
"""Rounds in a row in which no message of a batch is handled before the batch waits like after a failure."""

E = TypeVar("E", bound=Event)


class BatchConsumer(Generic[E]):
    """One consumer of one topic, for as long as the process lives."""

    def __init__(self, settings: ConsumerSettings, group: str, handler: Handler[E]) -> None:
        self._handler = handler
        self._topic = topic_of(handler.event_class.type)
        self._batch_max = settings.consumer_batch_max
        self._offsets = OffsetTracker()
        self._partitions = Partitions(settings, group, self._topic, self._offsets, self._drop)
        self._batch: list[Received[E] | Undecodable] = []
        self._retries = Retries[E]()
        self._dead_letters = DeadLetterPublisher(settings, self._topic, self._offsets)
        self._limit = DeadLetterLimit(self._topic, settings.dead_letters_in_a_row_max)
        self._backoff = Backoff(FIRST_BACKOFF_SECONDS, LAST_BACKOFF_SECONDS)
        self._not_before = 0.0
        self._consumed = {outcome: metrics.CONSUMED.labels(self._topic, outcome) for outcome in ACKNOWLEDGED}

    def reason_not_ready(self) -> str | None:
        """Why the service cannot do its work though its dependencies answer; None when it can."""
        return (
            self._limit.reason_not_ready()
            or self._partitions.reason_not_ready()
            or self._dead_letters.reason_not_ready()
            or self._retries.reason_not_ready()
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Consume until `stop`, then finish the batch in hand and leave the group."""
        await self._partitions.subscribe()
        while not stop.is_set():
            await self._turn()
        await self._partitions.leave()
        self._dead_letters.close()
        await self._handler.close()

    async def _turn(self) -> None:
        """Consume what has come, handle it, retry what is due, store the offsets."""
        await self._consume()
        self._batch += self._retries.take_answered(self._batch_max)
        if not self._must_wait:
            try:
                await self._handle_batch()
                await self._retry_due()
                self._backoff.reset()
            except Transient as error:
                self._wait_after(error)
        self._dead_letters.publish_due()
        self._postpone_late()
        self._partitions.store_offsets()
        without_key = self._retries.partitions_without_key
        metrics.PARTITIONS_WITHOUT_KEY.set(len(without_key))
        self._partitions.pause(without_key, everything=self._must_wait)
        await self._partitions.check()

    @property
    def _must_wait(self) -> bool:
        return self._limit.is_reached or monotonic() < self._not_before

    # ── consume ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _consume(self) -> None:
        for message in await self._partitions.poll(self._seconds_to_wait(), self._batch_max):
            if self._partitions.take_notice(message):
                continue
            consumed = decoded(message, self._handler.event_class)
            if consumed.offset < self._offsets.next(consumed.partition):
                self._begin_again(consumed.partition)
            if self._partitions.track(consumed.partition, consumed.offset):
                if tracing.is_on():
                    consumed.begin_span()
                self._batch.append(consumed)

    def _begin_again(self, partition: Partition) -> None:
        """Leave all of a partition that is read from an earlier offset on: its topic was deleted and made again."""
        log.warning("partition_read_again", topic=partition[0], partition=partition[1])
        self._offsets.drop(partition)
        self._drop({partition})

    def _seconds_to_wait(self) -> float:
        """How long a poll may wait for a message: until something else is to be done, at most half a second."""
        if self._dead_letters.in_flight:
            return DEAD_LETTER_POLL_SECONDS
        due = [self._dead_letters.next_at()]
        if not self._limit.is_reached:
            due += [self._retries.next_at(), self._not_before if self._batch else None]
        first = min((max(at, self._not_before) for at in due if at is not None), default=math.inf)
        most = ANSWER_POLL_SECONDS if self._retries.awaiting else POLL_SECONDS
        return min(max(first - monotonic(), 0.0), most)

    def _drop(self, revoked: set[Partition]) -> None:
        """Leave everything of these partitions to the consumer that reads them now."""
        self._batch = [message for message in self._batch if message.partition not in revoked]
        self._retries.drop(revoked)
        self._dead_letters.drop(revoked)

    # ── handle ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _handle_batch(self) -> None:
        """Handle the whole batch, in rounds without repeated events, so that the inbox judges the second of a pair."""
        lost_rounds = 0
        oldest = next((message for message in self._batch if isinstance(message, Received)), None)
        while self._batch and not self._limit.is_reached:
            before = len(self._batch)
            await self._handle_round()
            lost_rounds = lost_rounds + 1 if len(self._batch) == before else 0
            if lost_rounds >= RACES_MAX:
                raise Transient("some messages keep losing races against other consumers")
        if oldest is not None:
            _observe_hops(oldest)

    async def _handle_round(self) -> None:
        firsts: dict[UUID, Received[E]] = {}
        for message in self._batch:
            if isinstance(message, Received):
                firsts.setdefault(message.event.event_id, message)
        results = await self._results(list(firsts.values())) if firsts else {}
        batch, self._batch = self._batch, []
        for message in batch:
            if self._limit.is_reached:
                self._batch.append(message)
            elif isinstance(message, Undecodable):
                self._give_up_on(message, message.invalid)
            elif firsts[message.event.event_id] is message:
                self._apply(message, results[message.event.event_id])
            else:
                self._batch.append(message)

    async def _results(self, batch: list[Received[E]]) -> dict[UUID, HandlerResult | Exception]:
        """The handler's results; when it fails on the whole batch, one message at a time, to find those to blame."""
        try:
            with tracing.batch(f"handle {self._topic}", [received.span.traceparent for received in batch]):
                found = await self._handler.handle(batch)
            return {received.event.event_id: found[received.event.event_id] for received in batch}
        except Transient:
            raise
        except Exception as error:
            if len(batch) == 1:
                return {batch[0].event.event_id: error}
        alone: dict[UUID, HandlerResult | Exception] = {}
        for received in batch:
            alone |= await self._results([received])
        return alone

    def _apply(self, received: Received[E], result: HandlerResult | Exception) -> None:
        """Do what follows from a handler's result."""
        match result:
            case Outcome.LOST_RACE:
                self._batch.append(received)
            case Outcome():
                self._acknowledge(received, result)
            case Invalid():
                self._give_up_on(received, result)
            case UnknownKey():
                self._retries.wait_for_key(received, result)
            case Awaiting():
                self._retries.wait_for_answer(received, result.answer)
            case _:
                if (invalid := self._retries.retry(received, result)) is not None:
                    self._give_up_on(received, invalid)

    def _acknowledge(self, received: Received[E], outcome: Outcome) -> None:
        self._limit.reset()
        self._offsets.acknowledge(received.partition, received.offset)
        self._consumed[outcome].inc()
        received.span.note({"prequal.outcome": outcome.value})
        received.span.end()

    def _postpone_late(self) -> None:
        """Let go of late messages that hold many back: the publisher republishes them, after 30 seconds to an hour."""
        if self._offsets.held_back <= HELD_BACK_MAX:
            return
        late = self._retries.give_up_waiting(LATE_SECONDS)
        for received in late:
            self._offsets.acknowledge(received.partition, received.offset)
            received.span.end("postponed")
        if late:
            metrics.CONSUMED.labels(self._topic, "postponed").inc(len(late))
            log.warning("postponed", topic=self._topic, messages=len(late))

    def _give_up_on(self, message: Received[E] | Undecodable, invalid: Invalid) -> None:
        message.span.end(invalid.kind)
        self._dead_letters.add(DeadLetter(message, invalid))
        self._limit.count()

    async def _retry_due(self) -> None:
        """Try each message whose time has come, alone."""
        for received in self._retries.due():
            if self._limit.is_reached:
                return
            metrics.RETRIES.labels("message").inc()
            (result,) = (await self._results([received])).values()
            self._retries.remove(received)
            self._apply(received, result)

    def _wait_after(self, error: Transient) -> None:
        seconds = self._backoff.next()
        log.warning("retrying", target=self._topic, reason=str(error), seconds=round(seconds, 2))
        metrics.RETRIES.labels("batch").inc()
        self._not_before = monotonic() + seconds


def _observe_hops(received: Received[E]) -> None:
    """Measure how a handled message came here; a republished event carries the time of its fact."""
    topic, published_at = received.partition[0], received.message.timestamp()[1] / 1000
    metrics.HOP_SECONDS.labels(topic, "outbox").observe(max(0.0, published_at - received.event.happened_at.timestamp()))
    metrics.HOP_SECONDS.labels(topic, "topic").observe(max(0.0, time() - published_at))
