"""Relays to Kafka what the writers of a topic left: reads under a lease, publishes, archives what was acknowledged.

Invariant: a row is archived or parked by its own delivery report and nothing else; what is in doubt is published again.

    lease → read → publish → acknowledged → archive
                             refused      → park
                             in doubt     → read again
"""

import asyncio
import contextlib

import asyncpg
import structlog

from prequal.core import failpoints, lifecycle
from prequal.core.backoff import Backoff
from prequal.core.batching import gathering_seconds
from prequal.core.circuit_breaker import State
from prequal.core.errors import Transient
from prequal.core.failpoints import Place
from prequal.core.settings import PublisherSettings
from prequal.core.topology import Service
from prequal.messaging import outbox
from prequal.messaging.delivery import Deliveries, DeliveryErrors, DeliveryReport, DeliveryReports, classify
from prequal.messaging.outbox import OutboxRow
from prequal.messaging.outbox_producer import OutboxProducer, ProducerDied
from prequal.postgres.connections import Connection, SingleConnection, reason_of
from prequal.publisher import queries
from prequal.publisher.in_flight import InFlight
from prequal.publisher.lease import LeaseHolder
from prequal.publisher.restoring import Restoring
from prequal.publisher.unpublished_topics import UnpublishedTopics
from prequal.telemetry import metrics, tracing

log = structlog.get_logger()

FIRST_BACKOFF_SECONDS, LAST_BACKOFF_SECONDS = 0.2, 2.0
REPORTS_GATHER_SECONDS = 0.02
"""How long the first report waits for others: the archive is awaited by nobody, and the reports of one batch come by
partition, a few at a time."""
UNKNOWN_TOPIC_SECONDS = 4.0
"""The longest pause before a row is retried whose topic is missing: the fault is not the row's."""
IDLE_SECONDS = 5.0
"""The longest wait for rows or reports, in which nothing changes of what a relay says of itself."""
PROBE_ROWS = 1
"""How many rows are published to learn whether a broker that has failed accepts messages again."""


class TopicRelay:
    """Publishes the rows of one topic.

    Attributes:
        failure: why rows are not published now; None while they are.
    """

    def __init__(
        self, topic: str, settings: PublisherSettings, producer: OutboxProducer, unpublished: UnpublishedTopics
    ) -> None:
        self._topic = topic
        self._settings = settings
        self._unpublished = unpublished
        self._producer = producer
        # An archived row that a crash of the server brings back is published again: no commit need wait for the disk.
        self._connection = SingleConnection(settings.database_url, f"publisher {topic}", synchronous_commit="off")
        self._lease = LeaseHolder(topic, settings.lease_seconds)
        self._restoring = Restoring()
        self._in_flight = InFlight(producer.generation)
        self._unwritten: list[DeliveryReport] = []
        self._rows_expected = False
        self._topic_is_missing = False
        self._errors = DeliveryErrors(topic)
        self._backoff = Backoff(FIRST_BACKOFF_SECONDS, LAST_BACKOFF_SECONDS)
        self.failure: str | None = None

    @property
    def _reports(self) -> DeliveryReports:
        return self._producer.reports[self._topic]

    async def run(self, stop: asyncio.Event) -> None:
        """Publish until `stop`, retrying whatever fails; then archive what was acknowledged and release the lease."""
        while not stop.is_set():
            try:
                published = await self._round()
            except (Transient, asyncpg.PostgresError) as error:  # no error of the database is a row's own fault
                await self._retry_later(error, stop)
                continue
            self.failure = self._failure_now()
            self._backoff.reset()
            if pause := gathering_seconds(published):
                await asyncio.sleep(pause)
                self._producer.serve()
            if not published or not self._rows_expected:
                await self._idle(stop)
        await self._finish()

    async def _retry_later(self, error: Exception, stop: asyncio.Event) -> None:
        reason = reason_of(error)
        code = "KAFKA_PUBLISH_ERROR" if isinstance(error, ProducerDied) else "DATABASE_ERROR"
        self.failure = f"{code} on {self._topic}: {reason}"
        log.warning("retrying", error_code=code, target=self._topic, reason=reason)
        metrics.RETRIES.labels("publish").inc()
        self._rows_expected = True
        await lifecycle.pause(stop, self._backoff.next())

    async def _idle(self, stop: asyncio.Event) -> None:
        """Wait for the broker's reports or for rows that were left, until the lease is to be renewed.

        Rows that are expected and were not read (the broker's breaker is open, too many are in flight, another
        publisher has the lease) do not end the wait: only a report or time changes anything for them.
        """
        seconds = min(self._lease.renew_in, IDLE_SECONDS) or self._unpublished.every_seconds
        asked = len(self._in_flight) or not self._producer.warm
        with self._producer.watched() if asked else contextlib.nullcontext():
            await lifecycle.first_of(seconds, stop, self._reports.arrived, self._unpublished.found[self._topic])
        self._producer.serve()
        if self._reports.arrived.is_set():
            await lifecycle.pause(stop, REPORTS_GATHER_SECONDS)
            self._producer.serve()

    def _failure_now(self) -> str | None:
        if self._producer.breaker.state is State.OPEN:
            return f"KAFKA_PUBLISH_ERROR on {self._topic}: the broker takes nothing, its breaker is open"
        if self._topic_is_missing:
            return f"KAFKA_PUBLISH_ERROR on {self._topic}: the topic is missing, run `prequal topics`"
        return None

    async def _round(self) -> int:
        """Archive what is reported, read, publish; how many rows were published."""
        self._in_flight.follow(self._producer.generation, self._unwritten)
        async with self._connection.use("archive_and_read") as connection:
            await self._archive(connection)
            before = self._lease.held
            if await self._lease.keep(connection):
                if self._lease.held != before:  # somebody may have had it meanwhile
                    self._restoring.expect()
                await self._restore_parked(connection)
            found = await self._read(connection)
        published = self._publish(self._in_flight.select(found))
        if len(published) < len(found):
            self._rows_expected = True
        if published:
            failpoints.reached(Place.PUBLISHER_BEFORE_ACK)
        return len(published)

    async def _restore_parked(self, connection: Connection) -> None:
        if not self._restoring.is_due():
            return
        if await queries.restore_due(connection, self._topic, self._settings.publish_batch_max):
            self._restoring.expect()
            metrics.RETRIES.labels("parked").inc()
        else:
            self._restoring.looked()

    async def _read(self, connection: Connection) -> list[OutboxRow]:
        """The rows to publish now; none when no rows are expected, or none may be published."""
        found = self._unpublished.found[self._topic]
        if found.is_set():
            found.clear()
            self._rows_expected = True
        limit = self._limit()
        if self._lease.held is None or not self._rows_expected or limit <= 0:
            return []
        self._rows_expected = False  # before the read, so that a commit during it is read by the next round
        lease, in_flight = self._lease.held, self._in_flight.ids
        rows = await queries.read_unpublished(connection, lease, in_flight, limit, self._unpublished.seconds)
        admitted = not rows or self._producer.breaker.try_enter()
        if len(rows) == limit or not admitted:
            self._rows_expected = True
        return rows if admitted else []

    def _limit(self) -> int:
        """How many rows the producer may be given now."""
        breaker = self._producer.breaker
        if not breaker.admits:
            return 0
        most = self._settings.publish_batch_max if breaker.state is State.CLOSED else PROBE_ROWS
        return min(most, self._settings.publish_in_flight_max - len(self._in_flight))

    def _publish(self, rows: list[OutboxRow]) -> list[OutboxRow]:
        """Give rows to the producer as long as its queue has room; returns those it was given."""
        # While this relay read its rows, another topic's may have replaced a dead producer. What the dead one held
        # is forgotten here, before the new one is given rows: a round later these would be forgotten with it, and
        # published twice.
        self._in_flight.follow(self._producer.generation, self._unwritten)
        for number, row in enumerate(rows):
            self._in_flight.add(row)
            try:
                self._producer.publish(row)
            except BufferError:
                self._in_flight.discard(row)
                return rows[:number]
        return rows

    async def _archive(self, connection: Connection) -> None:
        """Archive or park the rows whose reports have come. A report is kept until the database has taken it."""
        self._reports.arrived.clear()
        self._unwritten += self._reports.take()
        if not self._unwritten:
            return
        deliveries = classify(self._unwritten, self._in_flight.to_isolate)
        failpoints.reached(Place.PUBLISHER_AFTER_ACK)
        with tracing.batch(f"archive {self._topic}", [report.traceparent for report in self._unwritten]):
            await self._write(connection, deliveries)
        failpoints.reached(Place.PUBLISHER_AFTER_ARCHIVE)
        self._written(deliveries)

    async def _write(self, connection: Connection, deliveries: Deliveries) -> None:
        if deliveries.acknowledged:
            archived = await outbox.archive_published(
                connection, self._topic, deliveries.acknowledged, Service.PUBLISHER
            )
            metrics.PUBLISHED.labels(self._topic).inc(archived)
        if deliveries.unknown_topic or deliveries.refused:
            self._restoring.expect()
        if deliveries.unknown_topic:
            await queries.park(connection, self._topic, deliveries.unknown_topic, UNKNOWN_TOPIC_SECONDS)
        if deliveries.refused:
            await queries.park(connection, self._topic, deliveries.refused)

    def _written(self, deliveries: Deliveries) -> None:
        self._in_flight.resolve(self._unwritten, deliveries)
        self._unwritten = []
        if deliveries.done:
            self._producer.breaker.succeeded()
        elif deliveries.blame_broker:
            self._producer.breaker.failed()
        missing = bool(deliveries.unknown_topic) or self._topic_is_missing
        self._topic_is_missing = missing and not deliveries.acknowledged
        if deliveries.errors:
            self._rows_expected = True
        self._errors.record(deliveries.errors)

    async def _finish(self) -> None:
        await self._producer.flush()
        with contextlib.suppress(Transient, asyncpg.PostgresError):
            async with self._connection.use() as connection:
                await self._archive(connection)
                await self._lease.release(connection)
        await self._connection.close()
