"""Dead letters: messages that can never succeed, published whole to their topic's dead-letter topic, with the reason.

Invariant: key and value are the original's bytes; the headers name a reason and never a PAN.
"""

import asyncio
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic
from typing import TypeAlias

import structlog
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from prequal.core import failpoints
from prequal.core.errors import Invalid, PrequalError, Transient
from prequal.core.failpoints import Place
from prequal.core.settings import KafkaSettings
from prequal.core.topology import dead_letter_topic
from prequal.domain.pan_detection import redact
from prequal.messaging.kafka_clients import (
    REFUSALS_OF_A_BATCH,
    CallbackPoller,
    Headers,
    is_fatal,
    is_infrastructure_error,
    producer_settings,
)
from prequal.messaging.messages import ConsumedMessage
from prequal.messaging.offset_tracker import MessagePlace, OffsetTracker, Partition
from prequal.messaging.retries import RetrySchedule
from prequal.telemetry import metrics
from prequal.telemetry.breakers import breaker_of

log = structlog.get_logger()

DeliveryCallback: TypeAlias = Callable[[KafkaError | None, Message], None]

PREFIX = "dlq."
FIRST_SEEN, ATTEMPTS = PREFIX + "first_seen", PREFIX + "attempts"
"""The headers that a replayed message carries on, so that its history does not begin again."""
REASON_MAX = 500
ANSWER_SECONDS = 6.0
RETRY_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A consumed message and why it can never succeed."""

    message: ConsumedMessage
    invalid: Invalid

    @property
    def partition(self) -> Partition:
        """Where the message came from."""
        return self.message.partition


class Unwritable(PrequalError):
    """No dead-letter topic takes the message, for a reason of the message: no later try can succeed."""


class DeadLetterLimit:
    """How many dead letters in a row stop a consumer; it stays stopped until the process is restarted.

    So many in a row are no bad messages any more but a bad deployment, and the rest is better left on the topic.
    """

    def __init__(self, topic: str, in_a_row_max: int) -> None:
        self._topic = topic
        self._in_a_row_max = in_a_row_max
        self._in_a_row = 0
        self.is_reached = False

    def count(self) -> None:
        """Count a dead letter."""
        self._in_a_row += 1
        if self._in_a_row >= self._in_a_row_max:
            self.is_reached = True
            log.critical("too_many_dead_letters", topic=self._topic, in_a_row=self._in_a_row)
            metrics.CONSUMER_STOPPED.set(1)

    def reset(self) -> None:
        """Begin to count again, after a message that succeeded."""
        self._in_a_row = 0

    def reason_not_ready(self) -> str | None:
        """Why the consumer is stopped; None while it is not."""
        return f"stopped after {self._in_a_row} dead letters in a row" if self.is_reached else None


class DeadLetterPublisher:
    """Publishes the dead letters of one topic beside the consumer's loop, and acknowledges what the broker holds."""

    def __init__(self, kafka: KafkaSettings, topic: str, offsets: OffsetTracker) -> None:
        self._producer = DeadLetterProducer(kafka)
        self._topic = topic
        self._offsets = offsets
        self._unpublished = RetrySchedule[DeadLetter]()
        self._publications: dict[asyncio.Task[None], DeadLetter] = {}
        self._refused: set[MessagePlace] = set()
        self._unwritable: set[MessagePlace] = set()

    def add(self, dead_letter: DeadLetter) -> None:
        """Publish it with the next call of `publish_due`."""
        self._unpublished.add(dead_letter, 0.0)

    def publish_due(self) -> None:
        """Begin to publish those that are due, and acknowledge those that the broker holds."""
        for dead_letter in self._unpublished.due():
            self._unpublished.remove(dead_letter)
            failpoints.reached(Place.CONSUMER_BEFORE_DEAD_LETTER)
            self._publications[asyncio.create_task(self._producer.publish(dead_letter))] = dead_letter
        for publication in [publication for publication in self._publications if publication.done()]:
            dead_letter = self._publications.pop(publication)
            if (error := publication.exception()) is None:
                self._acknowledge(dead_letter)
            else:
                self._publish_later(dead_letter, error)

    @property
    def in_flight(self) -> int:
        """How many the broker has not answered for."""
        return len(self._publications)

    def next_at(self) -> float | None:
        """When the next is due; None when none waits."""
        return self._unpublished.next_at()

    def reason_not_ready(self) -> str | None:
        """How many dead letters cannot be written; None when there are none."""
        if self._unwritable:
            places = ", ".join(
                f"{topic} {partition} {offset}" for (topic, partition), offset in sorted(self._unwritable)
            )
            return f"the broker can never take the dead letter of {places}: see `prequal dlq skip`"
        return f"{len(self._refused)} dead letters cannot be written" if self._refused else None

    def drop(self, revoked: set[Partition]) -> None:
        """Leave those of these partitions to the consumer that reads them now."""
        self._unpublished.drop(revoked)
        self._refused = {place for place in self._refused if place[0] not in revoked}
        self._unwritable = {place for place in self._unwritable if place[0] not in revoked}

    def close(self) -> None:
        """Wait for nothing more: what is not acknowledged is consumed again after the next start."""
        for publication in self._publications:
            publication.cancel()
        self._producer.close()

    def _acknowledge(self, dead_letter: DeadLetter) -> None:
        failpoints.reached(Place.CONSUMER_AFTER_DEAD_LETTER)
        message, invalid = dead_letter.message, dead_letter.invalid
        self._refused.discard(message.place)
        self._offsets.acknowledge(message.partition, message.offset)
        metrics.DEAD_LETTERS.labels(self._topic, invalid.kind).inc()
        metrics.CONSUMED.labels(self._topic, "dead").inc()
        place = {"topic": self._topic, "partition": message.partition[1], "offset": message.offset}
        correlation_id = message.header("correlation_id")
        log.error("dead_letter", **place, kind=invalid.kind, reason=str(invalid), correlation_id=correlation_id)

    def _publish_later(self, dead_letter: DeadLetter, error: BaseException) -> None:
        place = dead_letter.message.place
        log.error("dead_letter_waits", topic=self._topic, partition=place[0][1], offset=place[1], reason=str(error))
        if place not in self._offsets:
            return
        if isinstance(error, Unwritable):
            self._unwritable.add(place)
        else:
            self._refused.add(place)
            self._unpublished.add(dead_letter, monotonic() + RETRY_SECONDS)


class DeadLetterProducer:
    """The producer of dead letters, started with the first one."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self._breaker = breaker_of("kafka_producer", kafka.kafka_bootstrap_servers)
        self._settings = producer_settings(kafka) | {"client.id": "prequal-dead-letters"}
        self._producer: Producer | None = None
        self._poller: CallbackPoller | None = None

    async def publish(self, dead_letter: DeadLetter) -> None:
        """Return when the broker holds the dead letter durably: whole, or without the original's headers.

        Raises:
            Transient: it does not; nothing is lost, the offset has not moved.
            Unwritable: it never will, for a reason of the message.
        """
        try:
            await self._publish(dead_letter, headers(dead_letter))
        except Unwritable as refusal:
            (topic, number), offset = dead_letter.message.place
            reason = str(refusal)
            log.error("dead_letter_without_headers", topic=topic, partition=number, offset=offset, reason=reason)
            await self._publish(dead_letter, own_headers(dead_letter))

    async def _publish(self, dead_letter: DeadLetter, with_headers: Headers) -> None:
        with self._breaker.guarding(_blames_broker):
            await self._deliver(dead_letter.message, with_headers)

    async def _deliver(self, message: ConsumedMessage, with_headers: Headers) -> None:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[KafkaError | None] = loop.create_future()

        def delivered(error: KafkaError | None, _: Message) -> None:
            loop.call_soon_threadsafe(_set, answer, error)

        try:
            self._produce(message, with_headers, delivered)
            error = await asyncio.wait_for(answer, ANSWER_SECONDS)
        except KafkaException as failure:
            error = failure.args[0]
        except (TimeoutError, BufferError) as failure:
            raise Transient(f"the dead letter could not be written: {type(failure).__name__}") from failure
        except (TypeError, ValueError, OverflowError, SystemError) as failure:  # the client cannot encode it
            raise Unwritable(f"the dead letter could not be written: {type(failure).__name__}") from failure
        if error is not None:
            if is_fatal(error):
                self.close()
            kind = Unwritable if error.code() in REFUSALS_OF_A_BATCH else Transient
            raise kind(f"the dead letter could not be written: {error.name()}") from KafkaException(error)

    def close(self) -> None:
        """Let the producer go; the next dead letter starts another."""
        if self._poller is not None:
            self._poller.stop()
        self._producer = self._poller = None

    def _produce(self, message: ConsumedMessage, with_headers: Headers, delivered: DeliveryCallback) -> None:
        if self._producer is None:
            self._producer = Producer(self._settings, logger=logging.getLogger("librdkafka"))
            self._poller = CallbackPoller(self._producer, lambda: None)
            self._poller.watch()
        self._producer.produce(
            dead_letter_topic(message.partition[0]),
            message.message.value(),
            message.message.key(),
            headers=with_headers,
            on_delivery=delivered,
        )


def _blames_broker(error: BaseException) -> bool:
    """Whether the broker did not take a dead letter for no reason of the dead letter's or its topic's own."""
    cause = error.__cause__
    if isinstance(cause, KafkaException):
        return is_infrastructure_error(cause.args[0])
    return isinstance(cause, TimeoutError)


def _set(answer: asyncio.Future[KafkaError | None], error: KafkaError | None) -> None:
    if not answer.done():
        answer.set_result(error)


def headers(dead_letter: DeadLetter) -> Headers:
    """The original's headers, and ours behind them; those of an earlier publication are left out."""
    original = [(name, value) for name, value in dead_letter.message.headers if not name.startswith(PREFIX)]
    return [*original, *own_headers(dead_letter)]


def own_headers(dead_letter: DeadLetter) -> Headers:
    """The headers that say where the message came from and why it is dead.

    A message that was replayed keeps the time it was first seen, and its attempts are counted on.
    """
    message, invalid = dead_letter.message, dead_letter.invalid
    headers = {
        "topic": message.partition[0],
        "partition": message.partition[1],
        "offset": message.offset,
        "error_kind": invalid.kind,
        "error_message": redact(str(invalid))[:REASON_MAX],
        "first_seen": _first_seen(message).isoformat(timespec="milliseconds"),
        "last_seen": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "attempts": _attempts_before(message) + message.attempts,
    }
    return [(PREFIX + name, str(value)) for name, value in headers.items()]


def _first_seen(message: ConsumedMessage) -> datetime:
    try:
        earlier = datetime.fromisoformat(message.header(FIRST_SEEN) or "")
        return min(earlier, message.first_seen)
    except (ValueError, TypeError):  # missing, no time, or one without a zone
        return message.first_seen


def _attempts_before(message: ConsumedMessage) -> int:
    attempts = message.header(ATTEMPTS) or ""
    return int(attempts) if re.fullmatch("[0-9]{1,6}", attempts) else 0
