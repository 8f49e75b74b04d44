"""Tells events to the broker: a producer that is rebuilt when it dies, and what the broker answered, lane by lane.

Invariant: every answer belongs to the producer that was given the row; those of a dead one are forgotten.
"""

import asyncio
import functools
import json
import logging
from collections import deque
from dataclasses import dataclass
from typing import Any

import structlog
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from prequal.core.errors import Transient
from prequal.core.settings import KafkaSettings
from prequal.core.topology import topic_of
from prequal.domain.events import MESSAGE_VERSION, EventType
from prequal.messaging.kafka_clients import CallbackPoller, is_fatal, is_missing_topic, producer_settings
from prequal.publisher.listener import OutboxListener
from prequal.publisher.queries import OutboxRow
from prequal.telemetry import metrics, tracing
from prequal.telemetry.breakers import breaker_of

log = structlog.get_logger()

STATISTICS_MS = 250
FLUSH_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class DeliveryReport:
    """What became of one row: acknowledged when `error` is None; `traceparent` is where it was told in its trace."""

    id: int
    error: KafkaError | None
    traceparent: str | None = None


class DeliveryReports:
    """What the broker answered for one lane, filled by the producer's thread, emptied by the lane."""

    def __init__(self) -> None:
        self._waiting: deque[DeliveryReport] = deque()

    def __bool__(self) -> bool:
        """Whether there is something to take."""
        return bool(self._waiting)

    def add(self, told: DeliveryReport) -> None:
        """Keep an answer."""
        self._waiting.append(told)

    def take(self) -> list[DeliveryReport]:
        """What has come since last asked."""
        return [self._waiting.popleft() for _ in range(len(self._waiting))]


class OutboxProducer:
    """The producer, rebuilt after a fatal error, and the answers it has given, by lane."""

    def __init__(self, kafka: KafkaSettings, listener: OutboxListener) -> None:
        self._listener = listener
        self.breaker = breaker_of("kafka_producer", kafka.kafka_bootstrap_servers)
        self._settings: dict[str, Any] = producer_settings(kafka) | {
            "client.id": "prequal-publisher",
            "statistics.interval.ms": STATISTICS_MS,
            "stats_cb": self._look_at_statistics,
        }
        self.warm = False
        self.answers = {topic_of(event_type): DeliveryReports() for event_type in EventType}
        self.generation = 0
        self._start()

    def tell(self, row: OutboxRow) -> None:
        """Hand one row to the client.

        Raises:
            BufferError: the client's queue is full.
            Transient: the producer died; a new one has taken its place, and what the old one held is to be told again.
        """
        if self._dead:
            self._rebuild("a delivery report says so")
            raise Transient("the Kafka producer died")
        span = tracing.begin(f"publish {row.topic}", "PRODUCER", row.traceparent)
        answered = functools.partial(self._answered, self.generation, row.topic, row.id, span)
        key, headers = str(row.application_id), headers_of(row, span.traceparent)
        try:
            self._producer.produce(row.topic, row.payload, key, headers=headers, on_delivery=answered)
        except KafkaException as error:
            reason: KafkaError = error.args[0]
            span.end(reason.name())
            if is_fatal(reason):
                self._rebuild(reason.name())
                raise Transient(f"the Kafka producer died: {reason.name()}") from None
            self.answers[row.topic].add(DeliveryReport(row.id, reason))

    async def flush(self) -> None:
        """Wait for the broker to answer for what it was given, at most three seconds."""
        await asyncio.to_thread(self._producer.flush, FLUSH_SECONDS)

    def stop(self) -> None:
        """Let the producer go; what it still held stays unpublished."""
        self._poller.stop()
        self._producer.purge(blocking=False)

    def _start(self) -> None:
        self._dead = False
        self._known: set[str] = set()
        self._producer = Producer(self._settings, logger=logging.getLogger("librdkafka"))
        self._poller = CallbackPoller(self._producer, self._announce)

    def _look_at_statistics(self, statistics: str) -> None:
        """The first message waits for the producer's id, which a broker just started takes a second to give."""
        self.warm = self.warm or json.loads(statistics)["eos"]["idemp_state"] == "Assigned"

    def _announce(self) -> None:
        for topic, answers in self.answers.items():
            if answers:
                self._listener.wake(topic)

    def _rebuild(self, reason: str) -> None:
        log.error("producer_rebuilt", error_code="KAFKA_PUBLISH_ERROR", reason=reason)
        metrics.RETRIES.labels("producer").inc()
        self.breaker.failed()
        self.stop()
        self.generation += 1
        self._start()

    def _answered(
        self, generation: int, lane: str, row_id: int, span: tracing.Span, error: KafkaError | None, _: Message
    ) -> None:
        span.end(error.name() if error else None)
        if generation != self.generation:
            return
        if error is None:
            self._known.add(lane)
        # Who knew a topic that was deleted goes on asking its old leader for the one that takes its place.
        elif is_fatal(error) or (is_missing_topic(error) and lane in self._known):
            self._dead = True
        self.answers[lane].add(DeliveryReport(row_id, error, span.traceparent))


def headers_of(row: OutboxRow, traceparent: str | None) -> list[tuple[str, str | bytes | None]]:
    """What a message carries beside its body; `traceparent` is where it is told in its trace."""
    headers: list[tuple[str, str | bytes | None]] = [
        ("event_id", str(row.event_id)),
        ("event_type", row.event_type),
        ("message_version", MESSAGE_VERSION),
    ]
    if row.correlation_id is not None:
        headers.append(("correlation_id", row.correlation_id))
    if traceparent is not None:
        headers.append(("traceparent", traceparent))
    return headers
