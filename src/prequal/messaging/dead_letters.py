"""Where a message goes that can never succeed: to its topic's dead letters, whole, with where it came from and why.

Invariant: key and value are the original's bytes; the headers name a reason and never a PAN.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeAlias

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from prequal.core.errors import Transient
from prequal.core.settings import KafkaSettings
from prequal.core.topology import dead_letter_topic
from prequal.domain.pan_detection import redact
from prequal.messaging.kafka_clients import (
    CallbackPoller,
    is_fatal,
    is_infrastructure_error,
    message_headers,
    producer_settings,
)
from prequal.messaging.offset_tracker import Partition
from prequal.telemetry.breakers import breaker_of

Delivered: TypeAlias = Callable[[KafkaError | None, Message], None]

PREFIX = "dlq."
ANSWER_SECONDS = 6.0


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message and why it can never succeed."""

    message: Message
    kind: str
    words: str
    attempts: int
    first_seen: datetime

    @property
    def partition(self) -> Partition:
        """Where the message came from."""
        return self.message.topic() or "", self.message.partition() or 0

    @property
    def offset(self) -> int:
        """Its place there."""
        return self.message.offset() or 0

    @property
    def place(self) -> tuple[Partition, int]:
        """Both."""
        return self.partition, self.offset


class DeadLetters:
    """The producer of dead letters, started with the first one."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self._breaker = breaker_of("kafka_producer", kafka.kafka_bootstrap_servers)
        self._settings = producer_settings(kafka, one_at_a_time=True) | {"client.id": "prequal-dead-letters"}
        self._producer: Producer | None = None
        self._poller: CallbackPoller | None = None

    async def publish(self, letter: DeadLetter) -> None:
        """Return when the broker holds the letter durably.

        Raises:
            Transient: it does not; nothing is lost, the offset has not moved.
        """
        with self._breaker.guarding(_blames_broker):
            await self._publish(letter)

    async def _publish(self, letter: DeadLetter) -> None:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[KafkaError | None] = loop.create_future()

        def delivered(error: KafkaError | None, _: Message) -> None:
            loop.call_soon_threadsafe(_set, answer, error)

        try:
            self._produce(letter, delivered)
            error = await asyncio.wait_for(answer, ANSWER_SECONDS)
        except (TimeoutError, KafkaException, BufferError) as failure:
            if isinstance(failure, KafkaException) and is_fatal(failure.args[0]):
                self.close()
            raise Transient(f"the dead letter could not be written: {type(failure).__name__}") from failure
        if error is not None:
            if is_fatal(error):
                self.close()
            raise Transient(f"the dead letter could not be written: {error.name()}") from KafkaException(error)

    def close(self) -> None:
        """Let the producer go; the next letter starts another."""
        if self._poller is not None:
            self._poller.stop()
        self._producer = self._poller = None

    def _produce(self, letter: DeadLetter, delivered: Delivered) -> None:
        if self._producer is None:
            self._producer = Producer(self._settings, logger=logging.getLogger("librdkafka"))
            self._poller = CallbackPoller(self._producer, lambda: None)
        message = letter.message
        self._producer.produce(
            dead_letter_topic(message.topic() or ""),
            message.value(),
            message.key(),
            headers=headers(letter),
            on_delivery=delivered,
        )


def _blames_broker(error: BaseException) -> bool:
    """Whether the broker did not take a letter for no reason of the letter's or its topic's own."""
    cause = error.__cause__
    if isinstance(cause, KafkaException):
        return is_infrastructure_error(cause.args[0])
    return isinstance(cause, TimeoutError)


def _set(answer: asyncio.Future[KafkaError | None], error: KafkaError | None) -> None:
    if not answer.done():
        answer.set_result(error)


def headers(letter: DeadLetter) -> list[tuple[str, str | bytes | None]]:
    """The original's headers, and ours behind them; those of an earlier publication are left out."""
    message = letter.message
    original = [(name, value) for name, value in message_headers(message) if not name.startswith(PREFIX)]
    ours = {
        "topic": message.topic(),
        "partition": message.partition(),
        "offset": message.offset(),
        "error_kind": letter.kind,
        "error_message": redact(letter.words)[:500],
        "first_seen": letter.first_seen.isoformat(timespec="milliseconds"),
        "last_seen": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "attempts": letter.attempts,
    }
    return [*original, *((PREFIX + name, str(value)) for name, value in ours.items())]
