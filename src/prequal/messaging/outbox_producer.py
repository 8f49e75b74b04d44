"""The Kafka client by which rows are published, rebuilt when it dies, and its delivery reports, topic by topic.

Invariant: every report belongs to the producer that was given the row; those of a dead one are dropped.
"""

import asyncio
import contextlib
import functools
import json
import logging
from collections.abc import Iterator, Sequence
from typing import Any

import structlog
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from prequal.core.circuit_breaker import Breaker
from prequal.core.errors import Transient
from prequal.core.settings import KafkaSettings
from prequal.domain.events import MESSAGE_VERSION
from prequal.messaging.delivery import DeliveryReport, DeliveryReports
from prequal.messaging.kafka_clients import CallbackPoller, is_fatal, is_missing_topic, producer_settings
from prequal.messaging.outbox import OutboxRow
from prequal.telemetry import metrics, tracing
from prequal.telemetry.spans import Span

log = structlog.get_logger()

STATISTICS_MS = 500
"""How soon it is known that a producer has its id, and how often statistics are made for as long as it lives: each
takes 0.1 ms of CPU."""
FLUSH_SECONDS = 3.0


class ProducerDied(Transient):
    """The Kafka producer died; a new one has taken its place, and what the old one held must be published again."""


class OutboxProducer:
    """A producer that is rebuilt when it dies.

    Attributes:
        warm: whether the broker has given the producer its id, where that is asked for; the first message would wait
            for it.
        reports: the broker's answers, by topic.
        generation: how many producers have died; a relay forgets what earlier ones held.
        breaker: open while the broker takes nothing.
    """

    def __init__(
        self,
        kafka: KafkaSettings,
        client_id: str,
        topics: Sequence[str],
        breaker: Breaker,
        *,
        tells_when_warm: bool = False,
    ) -> None:
        self.breaker = breaker
        self._settings: dict[str, Any] = {**producer_settings(kafka), "client.id": client_id}
        if tells_when_warm:
            self._settings |= {"statistics.interval.ms": STATISTICS_MS, "stats_cb": self._read_statistics}
        self.warm = False
        self.reports = {topic: DeliveryReports() for topic in topics}
        self.generation = 0
        self._watchers = 0
        self._start()

    def publish(self, row: OutboxRow) -> None:
        """Give one row to the client; its delivery report comes later.

        Raises:
            BufferError: the client's queue is full.
            ProducerDied: what the old one held must be published again.
        """
        if self._dead:
            self._rebuild("a delivery report says so")
            raise ProducerDied
        span = tracing.begin(f"publish {row.topic}", "PRODUCER", row.traceparent)
        delivered = functools.partial(self._delivered, self.generation, row.topic, row.id, span)
        key, headers = str(row.application_id), headers_of(row, span.traceparent)
        try:
            self._producer.produce(row.topic, row.payload, key, headers=headers, on_delivery=delivered)
        except KafkaException as error:
            reason: KafkaError = error.args[0]
            span.end(reason.name())
            if is_fatal(reason):
                self._rebuild(reason.name())
                raise ProducerDied(f"the Kafka producer died: {reason.name()}") from None
            self.reports[row.topic].add(DeliveryReport(row.id, reason))

    async def connect(self, seconds: float) -> None:
        """Connect to the brokers of the topics, within `seconds` each; without one it goes on.

        A client asks for its id as soon as it is connected. One that is made when its first message is there looks for
        a connection once, before there can be any, and again half a second later.
        """
        for topic in self.reports:
            with contextlib.suppress(KafkaException):
                await asyncio.to_thread(self._producer.list_topics, topic, seconds)

    def serve(self) -> None:
        """Take the delivery reports that have come."""
        self._poller.serve()

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Take each delivery report as it comes, for as long as the block lasts."""
        self._watchers += 1
        self._poller.watch()
        try:
            yield
        finally:
            self._watchers -= 1
            if not self._watchers:
                self._poller.rest()

    async def flush(self) -> None:
        """Wait for the reports of all rows that the client holds, at most three seconds."""
        await asyncio.to_thread(self._producer.flush, FLUSH_SECONDS)

    def stop(self) -> None:
        """Stop the client; the rows that it still held stay unpublished."""
        self._poller.stop()
        self._producer.purge(blocking=False)

    def _start(self) -> None:
        self._dead = False
        self._known_topics: set[str] = set()
        self._producer = Producer(self._settings, logger=logging.getLogger("librdkafka"))
        self._poller = CallbackPoller(self._producer, self._reports_arrived)
        if self._watchers:
            self._poller.watch()

    def _read_statistics(self, statistics: str) -> None:
        # An idempotent producer needs an id of the broker before its first message, and a broker that has just started
        # takes a second to give one. Only the statistics tell.
        self.warm = self.warm or json.loads(statistics)["eos"]["idemp_state"] == "Assigned"

    def _reports_arrived(self) -> None:
        for reports in self.reports.values():
            if reports:
                reports.arrived.set()

    def _rebuild(self, reason: str) -> None:
        log.error("producer_rebuilt", error_code="KAFKA_PUBLISH_ERROR", reason=reason)
        metrics.RETRIES.labels("producer").inc()
        self.breaker.failed()
        self.stop()
        self.generation += 1
        self._start()

    def _delivered(
        self, generation: int, topic: str, row_id: int, span: Span, error: KafkaError | None, _: Message
    ) -> None:
        span.end(error.name() if error else None)
        if generation != self.generation:
            return
        if error is None:
            self._known_topics.add(topic)
        # A client that knew a topic which was deleted and made again goes on asking the old one's leader: every message
        # ends as UNKNOWN_TOPIC_OR_PART, while a new client finds the new topic.
        elif is_fatal(error) or (is_missing_topic(error) and topic in self._known_topics):
            self._dead = True
        self.reports[topic].add(DeliveryReport(row_id, error, span.traceparent))


def headers_of(row: OutboxRow, traceparent: str | None) -> list[tuple[str, str | bytes | None]]:
    """The headers of a row's message; `traceparent` is that of the span in which it is published."""
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
