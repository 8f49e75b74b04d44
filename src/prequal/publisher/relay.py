"""Relays one topic's outbox rows to Kafka: reads under a lease, produces, archives what the broker acknowledged.

Invariant: a row is archived or parked by its own delivery report and nothing else; what is in doubt is published again.

One relay a topic: lease → read → produce → (acknowledged → archive | refused → parked | lost → read again).
"""

import asyncio
import contextlib
import uuid
from collections import Counter

import asyncpg
import structlog
from confluent_kafka import KafkaError

from prequal.core import failpoints, lifecycle
from prequal.core.backoff import Backoff
from prequal.core.circuit_breaker import State
from prequal.core.errors import Transient
from prequal.core.failpoints import Place
from prequal.core.settings import PublisherSettings
from prequal.messaging.kafka_clients import REFUSALS_OF_A_BATCH, is_infrastructure_error, is_missing_topic
from prequal.postgres.connections import Connection, SingleConnection, describe
from prequal.publisher import queries
from prequal.publisher.listener import OutboxListener
from prequal.publisher.producer import DeliveryReport, OutboxProducer
from prequal.publisher.queries import Lease, OutboxRow
from prequal.telemetry import metrics, tracing

log = structlog.get_logger()

UNDER_WORK_SECONDS = 0.003
"""Pause between two rounds under load: it makes batches, and saves a third of the CPU."""
ANSWER_SECONDS = 0.05
"""How long a round waits for the first acknowledgement; what comes later is settled in a later round."""
FIRST_BACKOFF_SECONDS, LAST_BACKOFF_SECONDS = 0.2, 2.0
UNKNOWN_TOPIC_SECONDS = 4.0
"""The longest pause before what belongs on a topic that is missing is tried again: it is no fault of its own."""
LOG_EVERY_SECONDS = 10.0
"""What was not told is summed for so long before the log says it again: it is tried again many times a second."""
PROBE_ROWS = 1
"""How many rows ask a broker that has failed whether it takes anything again."""


class TopicRelay:
    """One topic's way out."""

    def __init__(
        self, topic: str, settings: PublisherSettings, producer: OutboxProducer, listener: OutboxListener
    ) -> None:
        self._topic = topic
        self._settings = settings
        self._producer = producer
        self._answers = producer.answers[topic]
        self._listener = listener
        # What was told and is forgotten in a crash is told again: settling need not wait for the disk.
        self._link = SingleConnection(settings.database_url, f"publisher {topic}", synchronous_commit="off")
        self._owner = uuid.uuid4()
        self._lease: Lease | None = None
        self._renew_at = 0.0
        self._more = True
        self._look_at = 0.0
        self._in_flight: set[int] = set()
        self._retry_candidates: set[int] = set()
        self._isolated_turn = False
        self._answered: list[DeliveryReport] = []
        self._backoff = Backoff(FIRST_BACKOFF_SECONDS, LAST_BACKOFF_SECONDS)
        self.failure: str | None = None
        self._generation = producer.generation
        self._topic_is_missing = False
        self._unsaid: Counter[str] = Counter()
        self._say_at = 0.0

    async def run(self, stop: asyncio.Event) -> None:
        """Tell until `stop`, waiting out whatever fails; then settle what was told and give the lane up."""
        while not stop.is_set():
            try:
                told = await self._round()
                self.failure = self._failure_now()
                self._backoff.reset()
            except (Transient, asyncpg.PostgresError) as error:  # no error of the database blames an event
                reason = str(error) if isinstance(error, Transient) else describe(error)
                self.failure = f"KAFKA_PUBLISH_ERROR on {self._topic}: {reason}"
                log.warning("waiting", error_code="KAFKA_PUBLISH_ERROR", what=self._topic, reason=reason)
                metrics.RETRIES.labels("publish").inc()
                await lifecycle.pause(stop, self._backoff.next())
                continue
            if told:
                await asyncio.sleep(UNDER_WORK_SECONDS)
            else:
                await self._listener.wait(self._topic, self._settings.publish_poll_seconds)
        await self._finish()

    def _failure_now(self) -> str | None:
        if self._producer.breaker.state is State.OPEN:
            return f"KAFKA_PUBLISH_ERROR on {self._topic}: the broker takes nothing, its breaker is open"
        if self._topic_is_missing:
            return f"KAFKA_PUBLISH_ERROR on {self._topic}: the topic is missing, run `prequal topics`"
        return None

    async def _round(self) -> int:
        """One turn of the lane's life; how many rows it told."""
        self._forget_dead_producer()
        async with self._link.use("read_and_settle") as connection:
            await self._settle(connection)
            found = await self._read(connection) if await self._hold_lease(connection) and self._should_look() else []
        rows = self._tell(self._together(found))
        self._more |= len(rows) < len(found)
        if rows:
            failpoints.reached(Place.PUBLISHER_BEFORE_ACK)
            await self._listener.wait(self._topic, ANSWER_SECONDS)
            async with self._link.use("settle") as connection:
                await self._settle(connection)
        return len(rows)

    async def _hold_lease(self, connection: Connection) -> bool:
        now = asyncio.get_running_loop().time()
        if self._lease is None or now >= self._renew_at:
            self._lease = await queries.take_lease(connection, self._topic, self._owner, self._settings.lease_seconds)
            self._renew_at = now + self._settings.lease_seconds / 3
            if self._lease is not None:
                await self._keep_house(connection)
        return self._lease is not None

    async def _keep_house(self, connection: Connection) -> None:
        if await queries.restore_due(connection, self._topic, self._settings.publish_batch_max):
            metrics.RETRIES.labels("parked").inc()

    def _should_look(self) -> bool:
        """Whether there may be rows to tell: a notifier rang, the last look did not take all, or it is long ago."""
        rung = self._listener.take_notification(self._topic)
        return rung or self._more or asyncio.get_running_loop().time() >= self._look_at

    async def _read(self, connection: Connection) -> list[OutboxRow]:
        """What is to be told now, as far as the broker takes it."""
        self._more, self._look_at = True, asyncio.get_running_loop().time() + self._settings.publish_poll_seconds
        room = self._settings.publish_in_flight_max - len(self._in_flight)
        breaker = self._producer.breaker
        if self._lease is None or room <= 0 or not breaker.admits:
            return []
        limit = min(room, self._settings.publish_batch_max if breaker.state is State.CLOSED else PROBE_ROWS)
        rows = await queries.read_unpublished(connection, self._lease, list(self._in_flight), limit)
        if rows and not breaker.try_enter():
            return []
        self._more = len(rows) == limit
        return rows

    def _together(self, rows: list[OutboxRow]) -> list[OutboxRow]:
        """What may be told together: the unsuspected, and in every other round one suspect with nothing beside it."""
        retry_candidates = [row for row in rows if row.id in self._retry_candidates]
        self._isolated_turn = bool(retry_candidates) and (not self._isolated_turn or len(retry_candidates) == len(rows))
        if self._isolated_turn:
            return retry_candidates[:1] if not self._in_flight else []
        return [row for row in rows if row.id not in self._retry_candidates]

    def _tell(self, rows: list[OutboxRow]) -> list[OutboxRow]:
        """Hand over what the client has room for; the rest is read again next time. Returns what was handed over."""
        self._forget_dead_producer()  # another lane may have built a new one meanwhile, and it is this that holds them
        for number, row in enumerate(rows):
            self._in_flight.add(row.id)
            try:
                self._producer.tell(row)
            except BufferError:
                self._in_flight.discard(row.id)
                return rows[:number]
        return rows

    async def _settle(self, connection: Connection) -> None:
        self._answered += self._answers.take()
        if not self._answered:
            return
        told = [answer.id for answer in self._answered if answer.error is None]
        errors = [(answer.id, answer.error) for answer in self._answered if answer.error is not None]
        unknown_topic = [(row, error.str()) for row, error in errors if is_missing_topic(error)]
        refused = [
            (row, error.str()) for row, error in errors if not is_missing_topic(error) and self._is_to_blame(row, error)
        ]
        failpoints.reached(Place.PUBLISHER_AFTER_ACK)
        with tracing.batch(f"archive {self._topic}", [answer.traceparent for answer in self._answered]):
            if told:
                await queries.archive_published(connection, self._topic, told)
            if unknown_topic:
                await queries.park(connection, self._topic, unknown_topic, UNKNOWN_TOPIC_SECONDS)
            if refused:
                await queries.park(connection, self._topic, refused)
        failpoints.reached(Place.PUBLISHER_AFTER_ARCHIVE)
        self._tell_breaker(len(told) + len(unknown_topic) + len(refused), errors)
        self._topic_is_missing = not told and (bool(unknown_topic) or self._topic_is_missing)
        self._in_flight.difference_update(answer.id for answer in self._answered)
        self._retry_candidates.difference_update(told, (row for row, _ in (*unknown_topic, *refused)))
        self._answered = []
        metrics.PUBLISHED.labels(self._topic).inc(len(told))
        self._more |= bool(errors)
        self._note([error for _, error in errors])

    def _is_to_blame(self, row: int, error: KafkaError) -> bool:
        """Whether a refusal is the row's own: a batch is refused for one row of it, so each is told alone first."""
        if is_infrastructure_error(error):
            return False
        if error.code() not in REFUSALS_OF_A_BATCH or row in self._retry_candidates:
            return True
        self._retry_candidates.add(row)
        return False

    def _tell_breaker(self, taken: int, errors: list[tuple[int, KafkaError]]) -> None:
        if taken:
            self._producer.breaker.succeeded()
        elif any(is_infrastructure_error(error) for _, error in errors):
            self._producer.breaker.failed()

    def _note(self, errors: list[KafkaError]) -> None:
        for reason, count in Counter(error.name() for error in errors).items():
            known = reason if reason in metrics.PUBLISH_ERROR_NAMES else "other"
            metrics.PUBLISH_ERRORS.labels(self._topic, known).inc(count)
            self._unsaid[reason] += count
        now = asyncio.get_running_loop().time()
        if self._unsaid and now >= self._say_at:
            self._say_at = now + LOG_EVERY_SECONDS
            for reason, count in self._unsaid.items():
                log.error(
                    "publish_failed", error_code="KAFKA_PUBLISH_ERROR", topic=self._topic, reason=reason, count=count
                )
            self._unsaid.clear()

    def _forget_dead_producer(self) -> None:
        if self._generation != self._producer.generation:
            self._generation = self._producer.generation
            self._in_flight = {answer.id for answer in self._answered}

    async def _finish(self) -> None:
        await self._producer.flush()
        with contextlib.suppress(Transient, asyncpg.PostgresError):
            async with self._link.use() as connection:
                await self._settle(connection)
                if self._lease is not None:
                    await queries.release_lease(connection, self._lease)
        await self._link.close()
