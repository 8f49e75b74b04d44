"""Metrics of the whole system, read from the database, the broker and the disk.

Invariant: no query scans a table that grows, and a value that could not be read is not shown.
"""

import asyncio
import random
import shutil
from typing import Any

import asyncpg
import structlog
from confluent_kafka import KafkaException

from prequal.core.errors import Transient
from prequal.core.lifecycle import pause
from prequal.core.settings import PublisherSettings
from prequal.messaging import outbox
from prequal.messaging.consumer_lag import Offsets
from prequal.postgres import bureau_calls, key_uses, undecided
from prequal.postgres.connections import Connection, SingleConnection, describe
from prequal.publisher import queries
from prequal.review import queries as review
from prequal.telemetry import metrics
from prequal.telemetry.collected_gauge import CollectedGauge

log = structlog.get_logger()

READ_EVERY_SECONDS = 4.0, 6.0
"""A random pause between these: consumers commit their offsets each second, and a fixed pause might always read just
before."""
COUNT_MAX = 100_000

BROKER_GAUGES = (metrics.CONSUMER_LAG, metrics.DEAD_LETTERS_STORED)
DISK_GAUGES = (metrics.DISK_FREE_BYTES, metrics.DISK_SIZE_BYTES)
DATABASE_GAUGES = tuple(gauge for gauge in metrics.COLLECTED if gauge not in (*BROKER_GAUGES, *DISK_GAUGES))


class SystemMetrics:
    """Reads the database with the disk, and the broker, about every five seconds, each in a task of its own."""

    def __init__(self, settings: PublisherSettings) -> None:
        self._connection = SingleConnection(settings.database_url, "system_metrics")
        self._offsets = Offsets(settings)
        self._folder = settings.watched_folder

    async def run(self, stop: asyncio.Event) -> None:
        """Read until `stop`."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch_database(stop))
            group.create_task(self._watch_broker(stop))

    async def _watch_database(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                async with self._connection.use("system_metrics") as connection:
                    found = await _read_database(connection)
                for gauge, value in found.items():
                    gauge.set(value)
            except (Transient, asyncpg.PostgresError) as error:
                _clear(DATABASE_GAUGES)
                log.debug("probe_failed", dependency="PostgreSQL", reason=describe(error))
            self._read_disk()
            await pause(stop, random.uniform(*READ_EVERY_SECONDS))
        await self._connection.close()

    async def _watch_broker(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                lag = await asyncio.to_thread(self._offsets.lag)
                metrics.CONSUMER_LAG.set(lag)
                stored = await asyncio.to_thread(self._offsets.dead_letters)
                metrics.DEAD_LETTERS_STORED.set({(topic,): count for topic, count in stored.items()})
            except KafkaException as error:
                _clear(BROKER_GAUGES)
                await asyncio.to_thread(self._offsets.close)
                log.debug("probe_failed", dependency="Kafka", reason=str(error.args[0]))
            await pause(stop, random.uniform(*READ_EVERY_SECONDS))
        await asyncio.to_thread(self._offsets.close)

    def _read_disk(self) -> None:
        if self._folder is None:
            return
        try:
            usage = shutil.disk_usage(self._folder)
        except OSError:
            _clear(DISK_GAUGES)
            return
        metrics.DISK_FREE_BYTES.set(usage.free)
        metrics.DISK_SIZE_BYTES.set(usage.total)


def _clear(gauges: tuple[CollectedGauge, ...]) -> None:
    for gauge in gauges:
        gauge.clear()


async def _read_database(connection: Connection) -> dict[CollectedGauge, Any]:
    """All values, before one is shown: whether the server takes writes is known after the last answer."""
    waiting = {(topic,): of_topic for topic, of_topic in (await outbox.waiting(connection, COUNT_MAX)).items()}
    return {
        metrics.OUTBOX_DEPTH: {topic: each.events for topic, each in waiting.items()},
        metrics.OUTBOX_OLDEST_SECONDS: {topic: each.oldest_seconds for topic, each in waiting.items()},
        metrics.OUTBOX_PARKED: {topic: each.parked for topic, each in waiting.items()},
        **await in_decision(connection),
        **await in_review(connection),
        **await server(connection),
        metrics.BUREAU_CALLS_TODAY: await bureau_calls.of_today(connection),
        metrics.KEY_ENCRYPTIONS: await key_uses.of_the_newest(connection),
        metrics.ARCHIVE_DAYS_AHEAD: await queries.archive_days_ahead(connection),
        metrics.DB_TRANSACTIONS: await queries.transactions(connection),
    }


async def in_decision(connection: Connection) -> dict[CollectedGauge, float]:
    """The applications without a decision, those among them that are overdue, and the oldest one's age in seconds."""
    waiting = await undecided.waiting(connection, COUNT_MAX)
    return {
        metrics.UNDECIDED: waiting.applications,
        metrics.OVERDUE: waiting.overdue,
        metrics.OLDEST_UNDECIDED_SECONDS: max(0.0, waiting.oldest.total_seconds()) if waiting.oldest else 0.0,
    }


async def in_review(connection: Connection) -> dict[CollectedGauge, Any]:
    """The undecided cases, those of them past their target time, and the oldest one's hours to it."""
    waiting = await review.waiting(connection, COUNT_MAX)
    return {
        metrics.REVIEW_OPEN: waiting.cases,
        metrics.REVIEW_OVERDUE: waiting.overdue,
        metrics.REVIEW_HOURS_TO_TARGET: {} if waiting.hours_to_target is None else waiting.hours_to_target,
    }


async def server(connection: Connection) -> dict[CollectedGauge, float]:
    """The server's own statistics."""
    seen = await queries.server(connection)
    return {
        metrics.DB_SERVER_CONNECTIONS: seen.connections,
        metrics.DB_SERVER_CONNECTIONS_LIMIT: seen.connections_max,
        metrics.DB_OLDEST_TRANSACTION_SECONDS: seen.oldest_transaction_seconds,
        metrics.DB_SIZE_BYTES: seen.size_bytes,
        metrics.DB_DEADLOCKS: seen.deadlocks,
    }
