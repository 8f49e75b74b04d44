"""A writer publishes the events of its own commits at once, and archives in batches what the broker acknowledged.

Invariant: nothing waits for Kafka or fails with it. What is not published and archived within a second, because the
process died, the broker is away or a commit was in doubt, is left to the publisher, which publishes it (again).

    commit ──► publish ──acknowledged──► archive
                  └──not taken, refused, in doubt──► left to the publisher
"""

import asyncio
import contextlib
from collections.abc import Sequence

import asyncpg
import structlog

from prequal.core import failpoints, lifecycle
from prequal.core.backoff import Backoff
from prequal.core.circuit_breaker import Breaker
from prequal.core.errors import Transient
from prequal.core.failpoints import Place
from prequal.core.settings import ApiSettings, CreditSettings
from prequal.core.topology import Service
from prequal.messaging import outbox
from prequal.messaging.delivery import DeliveryErrors, DeliveryReport, classify
from prequal.messaging.outbox import OutboxRow
from prequal.messaging.outbox_producer import OutboxProducer, ProducerDied
from prequal.postgres.connections import Connection, SingleConnection, reason_of
from prequal.telemetry import metrics, tracing
from prequal.telemetry.logs import where

log = structlog.get_logger()

ARCHIVE_EVERY_SECONDS = 0.15
"""Nobody waits for the archive, and the publisher begins after six times as long (`publisher.queries`)."""
UNARCHIVED_MAX = 2000
"""So many events are on their way or acknowledged; more are left to the publisher."""
FIRST_BACKOFF_SECONDS, LAST_BACKOFF_SECONDS = 0.2, 2.0
IDLE_SECONDS = 60.0
CONNECT_SECONDS = 1.0
"""How long a start waits for the broker, without which it goes on."""


class OwnEventPublisher:
    """Publishes the events of one topic that this process commits; none before `warm` or `run`, or after it."""

    def __init__(self, settings: ApiSettings | CreditSettings, writer: Service, topic: str) -> None:
        self._settings = settings
        self._topic = topic
        self._writer = writer
        self._producer: OutboxProducer | None = None
        self._generation = 0
        # An archived row that a crash of the server brings back is published again: no commit need wait for the disk.
        name = f"{settings.service_name} archive"
        self._connection = SingleConnection(settings.database_url, name, synchronous_commit="off")
        self._in_flight: set[int] = set()
        self._acknowledged: list[DeliveryReport] = []
        self._errors = DeliveryErrors(topic)
        self._backoff = Backoff(FIRST_BACKOFF_SECONDS, LAST_BACKOFF_SECONDS)
        self._published = asyncio.Event()

    async def warm(self, _: Connection) -> None:
        """Have the broker's client connected, so that the first event waits for nothing; a startup check."""
        if self._settings.publish_own_events and self._producer is None:
            self._producer = self._new_producer()
            await self._producer.connect(CONNECT_SECONDS)

    def publish(self, rows: Sequence[OutboxRow]) -> None:
        """Give rows that were just committed to the broker's client, as far as it takes them; returns at once."""
        producer = self._producer
        room = UNARCHIVED_MAX - len(self._in_flight) - len(self._acknowledged)
        if producer is None or not 0 < len(rows) <= room or not producer.breaker.try_enter():
            return
        self._published.set()
        self._follow(producer)  # or what a new producer is given now would be forgotten with what a dead one held
        try:
            for row in rows:
                producer.publish(row)
                self._in_flight.add(row.id)
        except (BufferError, ProducerDied) as error:
            log.info("left_to_the_publisher", topic=self._topic, reason=type(error).__name__)
        except Exception as error:  # a commit that was made must be answered as one, whatever becomes of its event
            log.error("publish_failed", error_code="KAFKA_PUBLISH_ERROR", topic=self._topic, error=where(error))

    async def run(self, stop: asyncio.Event) -> None:
        """Publish, and archive what is acknowledged, until `stop`; then wait for the rest, at most three seconds."""
        if not self._settings.publish_own_events:
            return
        self._producer = producer = self._producer or self._new_producer()
        with producer.watched() if tracing.is_on() else contextlib.nullcontext():  # or their spans would end too late
            while not stop.is_set():
                await lifecycle.first_of(IDLE_SECONDS, stop, self._published)
                await lifecycle.pause(stop, ARCHIVE_EVERY_SECONDS)
                await self._archive_reported(producer, stop)
        self._producer = None
        await producer.flush()
        await self._archive_reported(producer, stop)
        producer.stop()
        await self._connection.close()

    def _new_producer(self) -> OutboxProducer:
        # Not shown by the metric `breaker_state`: only the next event can close it, and until one comes nothing waits.
        breaker = Breaker("own_events")
        return OutboxProducer(self._settings, self._settings.service_name, [self._topic], breaker)

    async def _archive_reported(self, producer: OutboxProducer, stop: asyncio.Event) -> None:
        """Archive what the broker has acknowledged. An acknowledgement is kept until the database has taken it."""
        self._take_reports(producer)
        try:
            if self._acknowledged:
                await self._archive()
        except (Transient, asyncpg.PostgresError) as error:
            target = f"archive {self._topic}"
            log.warning("retrying", error_code="DATABASE_ERROR", target=target, reason=reason_of(error))
            await lifecycle.pause(stop, self._backoff.next())
        if not self._in_flight and not self._acknowledged:
            self._published.clear()

    async def _archive(self) -> None:
        failpoints.reached(Place.WRITER_AFTER_ACK)
        with tracing.batch(f"archive {self._topic}", [report.traceparent for report in self._acknowledged]):
            async with self._connection.use("archive") as connection:
                ids = [report.id for report in self._acknowledged]
                archived = await outbox.archive_published(connection, self._topic, ids, self._writer)
        metrics.PUBLISHED.labels(self._topic).inc(archived)
        self._acknowledged.clear()
        self._backoff.reset()

    def _take_reports(self, producer: OutboxProducer) -> None:
        """Sort what the broker has answered. Only the publisher parks a row: what is refused here it finds refused."""
        producer.serve()
        reports = producer.reports[self._topic].take()
        self._in_flight.difference_update(report.id for report in reports)
        self._follow(producer)
        deliveries = classify(reports, published_alone=())
        self._acknowledged += [report for report in reports if report.error is None]
        self._errors.record(deliveries.errors)
        if deliveries.done:
            producer.breaker.succeeded()
        elif deliveries.blame_broker:
            producer.breaker.failed()

    def _follow(self, producer: OutboxProducer) -> None:
        """Forget what a dead producer held, for it reports nothing any more."""
        if self._generation != producer.generation:
            self._generation = producer.generation
            self._in_flight.clear()
