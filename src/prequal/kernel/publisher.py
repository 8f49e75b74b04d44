"""Relays the outbox to Kafka: reads under a lease, produces, and settles what the broker acknowledged.

Neighbours: `kernel.outbox` for the rows, `kernel.teller` for the broker; `api` and `credit` wake it with a NOTIFY after
their commits.
Invariant: a row is settled by its own delivery callback and nothing else; what is in doubt is told again.

One lane a topic: lease → read → produce → (acknowledged → archive | refused → parked | lost → read again).
"""

import asyncio
import contextlib
import functools
import uuid
from collections import Counter
from collections.abc import Iterable

import asyncpg
import structlog
from confluent_kafka import KafkaError

from prequal.domain.events import EventType
from prequal.kernel import failpoints, http, metrics, outbox, process, tracing
from prequal.kernel.backoff import Backoff
from prequal.kernel.breaker import State
from prequal.kernel.db import Connection, Link, describe
from prequal.kernel.errors import Transient
from prequal.kernel.failpoints import Place
from prequal.kernel.kafka import REFUSALS_OF_A_BATCH, is_missing_topic, is_surroundings
from prequal.kernel.outbox import Lease, OutboxRow
from prequal.kernel.readiness import Readiness
from prequal.kernel.reconciler import Reconciler
from prequal.kernel.schema import check_schema
from prequal.kernel.settings import PublisherSettings
from prequal.kernel.survey import Survey
from prequal.kernel.teller import Teller, Told
from prequal.kernel.wake import Wakes

log = structlog.get_logger()

UNDER_WORK_SECONDS = 0.003
"""Pause between two rounds under load: it makes batches, and saves a third of the CPU."""
ANSWER_SECONDS = 0.05
"""How long a round waits for the first acknowledgement; what comes later is settled in a later round."""
FIRST_BACKOFF_SECONDS, LAST_BACKOFF_SECONDS = 0.2, 2.0
HOMELESS_SECONDS = 4.0
"""The longest pause before what belongs on a topic that is missing is tried again: it is no fault of its own."""
SAY_EVERY_SECONDS = 10.0
"""What was not told is summed for so long before the log says it again: it is tried again many times a second."""
PROBE_ROWS = 1
"""How many rows ask a broker that has failed whether it takes anything again."""


def run(settings: PublisherSettings) -> None:
    """Publish until SIGTERM.

    Raises:
        Misconfigured: a setting, the database's revision or a port does not fit.
    """
    process.run(settings, functools.partial(_main, settings))


async def _main(settings: PublisherSettings, stop: asyncio.Event) -> None:
    wakes = Wakes(settings.database_url, [event_type.topic for event_type in EventType])
    teller = Teller(settings, wakes)
    lanes = [Lane(event_type.topic, settings, teller, wakes) for event_type in EventType]
    readiness = Readiness(settings, lambda: "; ".join(_reasons(teller, lanes)) or None)
    async with process.together() as group:
        probes = http.probes(metrics.Exporter.PUBLISHER, settings.service_name, readiness)
        group.create_task(http.serve(probes, settings, stop, probes))
        group.create_task(readiness.watch(stop))
        await process.wait_for_database(settings.database_url, stop, check_schema)
        group.create_task(wakes.listen(stop))
        process.settle_memory()
        readiness.started = True
        telling = [group.create_task(lane.run(stop)) for lane in lanes]
        group.create_task(Reconciler(settings).run(stop))
        group.create_task(Survey(settings).run(stop))
        await stop.wait()
        wakes.wake_all()
        await asyncio.wait(telling)
        teller.stop()


def _reasons(teller: Teller, lanes: Iterable["Lane"]) -> list[str]:
    """Why the publisher cannot do its work, though its dependencies answer."""
    failures = [lane.failure for lane in lanes if lane.failure]
    return failures if teller.warm else ["the Kafka producer has no id yet", *failures]


class Lane:
    """One topic's way out."""

    def __init__(self, topic: str, settings: PublisherSettings, teller: Teller, wakes: Wakes) -> None:
        self._topic = topic
        self._settings = settings
        self._teller = teller
        self._answers = teller.answers[topic]
        self._wakes = wakes
        # What was told and is forgotten in a crash is told again: settling need not wait for the disk.
        self._link = Link(settings.database_url, f"publisher {topic}", synchronous_commit="off")
        self._owner = uuid.uuid4()
        self._lease: Lease | None = None
        self._renew_at = 0.0
        self._more = True
        self._look_at = 0.0
        self._in_flight: set[int] = set()
        self._suspects: set[int] = set()
        self._suspects_turn = False
        self._answered: list[Told] = []
        self._backoff = Backoff(FIRST_BACKOFF_SECONDS, LAST_BACKOFF_SECONDS)
        self.failure: str | None = None
        self._generation = teller.generation
        self._topic_is_missing = False
        self._unsaid: Counter[str] = Counter()
        self._say_at = 0.0

    async def run(self, stop: asyncio.Event) -> None:
        """Tell until `stop`, waiting out whatever fails; then settle what was told and give the lane up."""
        while not stop.is_set():
            try:
                told = await self._round()
                self.failure = self._what_is_wrong()
                self._backoff.reset()
            except (Transient, asyncpg.PostgresError) as error:  # no error of the database blames an event
                reason = str(error) if isinstance(error, Transient) else describe(error)
                self.failure = f"KAFKA_PUBLISH_ERROR on {self._topic}: {reason}"
                log.warning("waiting", error_code="KAFKA_PUBLISH_ERROR", what=self._topic, reason=reason)
                metrics.RETRIES.labels("publish").inc()
                await process.pause(stop, self._backoff.next())
                continue
            if told:
                await asyncio.sleep(UNDER_WORK_SECONDS)
            else:
                await self._wakes.wait(self._topic, self._settings.publish_poll_seconds)
        await self._finish()

    def _what_is_wrong(self) -> str | None:
        if self._teller.breaker.state is State.OPEN:
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
        rows = self._tell(self._apart(found))
        self._more |= len(rows) < len(found)
        if rows:
            failpoints.reached(Place.PUBLISHER_BEFORE_ACK)
            await self._wakes.wait(self._topic, ANSWER_SECONDS)
            async with self._link.use("settle") as connection:
                await self._settle(connection)
        return len(rows)

    async def _hold_lease(self, connection: Connection) -> bool:
        now = asyncio.get_running_loop().time()
        if self._lease is None or now >= self._renew_at:
            self._lease = await outbox.take_lease(connection, self._topic, self._owner, self._settings.lease_seconds)
            self._renew_at = now + self._settings.lease_seconds / 3
            if self._lease is not None:
                await self._keep_house(connection)
        return self._lease is not None

    async def _keep_house(self, connection: Connection) -> None:
        if await outbox.bring_back_due(connection, self._topic, self._settings.publish_batch_max):
            metrics.RETRIES.labels("parked").inc()

    def _should_look(self) -> bool:
        """Whether there may be rows to tell: a bell rang, the last look did not take all, or it is long ago."""
        rung = self._wakes.take_bell(self._topic)
        return rung or self._more or asyncio.get_running_loop().time() >= self._look_at

    async def _read(self, connection: Connection) -> list[OutboxRow]:
        """What is to be told now, as far as the broker takes it."""
        self._more, self._look_at = True, asyncio.get_running_loop().time() + self._settings.publish_poll_seconds
        room = self._settings.publish_in_flight_max - len(self._in_flight)
        breaker = self._teller.breaker
        if self._lease is None or room <= 0 or not breaker.admits:
            return []
        limit = min(room, self._settings.publish_batch_max if breaker.state is State.CLOSED else PROBE_ROWS)
        rows = await outbox.read_untold(connection, self._lease, list(self._in_flight), limit)
        if rows and not breaker.try_enter():
            return []
        self._more = len(rows) == limit
        return rows

    def _apart(self, rows: list[OutboxRow]) -> list[OutboxRow]:
        """What may be told together: the unsuspected, and in every other round one suspect with nothing beside it."""
        suspects = [row for row in rows if row.id in self._suspects]
        self._suspects_turn = bool(suspects) and (not self._suspects_turn or len(suspects) == len(rows))
        if self._suspects_turn:
            return suspects[:1] if not self._in_flight else []
        return [row for row in rows if row.id not in self._suspects]

    def _tell(self, rows: list[OutboxRow]) -> list[OutboxRow]:
        """Hand over what the client has room for; the rest is read again next time. Returns what was handed over."""
        self._forget_dead_producer()  # another lane may have built a new one meanwhile, and it is this that holds them
        for number, row in enumerate(rows):
            self._in_flight.add(row.id)
            try:
                self._teller.tell(row)
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
        homeless = [(row, error.str()) for row, error in errors if is_missing_topic(error)]
        refused = [
            (row, error.str()) for row, error in errors if not is_missing_topic(error) and self._is_to_blame(row, error)
        ]
        failpoints.reached(Place.PUBLISHER_AFTER_ACK)
        with tracing.batch(f"archive {self._topic}", [answer.traceparent for answer in self._answered]):
            if told:
                await outbox.settle_told(connection, self._topic, told)
            if homeless:
                await outbox.park(connection, self._topic, homeless, HOMELESS_SECONDS)
            if refused:
                await outbox.park(connection, self._topic, refused)
        failpoints.reached(Place.PUBLISHER_AFTER_SETTLE)
        self._tell_breaker(len(told) + len(homeless) + len(refused), errors)
        self._topic_is_missing = not told and (bool(homeless) or self._topic_is_missing)
        self._in_flight.difference_update(answer.id for answer in self._answered)
        self._suspects.difference_update(told, (row for row, _ in (*homeless, *refused)))
        self._answered = []
        metrics.PUBLISHED.labels(self._topic).inc(len(told))
        self._more |= bool(errors)
        self._note([error for _, error in errors])

    def _is_to_blame(self, row: int, error: KafkaError) -> bool:
        """Whether a refusal is the row's own: a batch is refused for one row of it, so each is told alone first."""
        if is_surroundings(error):
            return False
        if error.code() not in REFUSALS_OF_A_BATCH or row in self._suspects:
            return True
        self._suspects.add(row)
        return False

    def _tell_breaker(self, taken: int, errors: list[tuple[int, KafkaError]]) -> None:
        if taken:
            self._teller.breaker.succeeded()
        elif any(is_surroundings(error) for _, error in errors):
            self._teller.breaker.failed()

    def _note(self, errors: list[KafkaError]) -> None:
        for reason, count in Counter(error.name() for error in errors).items():
            known = reason if reason in metrics.PUBLISH_ERROR_NAMES else "other"
            metrics.PUBLISH_ERRORS.labels(self._topic, known).inc(count)
            self._unsaid[reason] += count
        now = asyncio.get_running_loop().time()
        if self._unsaid and now >= self._say_at:
            self._say_at = now + SAY_EVERY_SECONDS
            for reason, count in self._unsaid.items():
                log.error("not_told", error_code="KAFKA_PUBLISH_ERROR", topic=self._topic, reason=reason, count=count)
            self._unsaid.clear()

    def _forget_dead_producer(self) -> None:
        if self._generation != self._teller.generation:
            self._generation = self._teller.generation
            self._in_flight = {answer.id for answer in self._answered}

    async def _finish(self) -> None:
        await self._teller.flush()
        with contextlib.suppress(Transient, asyncpg.PostgresError):
            async with self._link.use() as connection:
                await self._settle(connection)
                if self._lease is not None:
                    await outbox.give_up_lease(connection, self._lease)
        await self._link.close()
