"""What is true of the whole house, for the metrics: asked of the database, the broker and the disk themselves.

Invariant: no question scans a table that grows, and what could not be found out is not shown.
"""

import asyncio
import random
import shutil
from collections.abc import Mapping

import asyncpg
import structlog
from confluent_kafka import KafkaException

from prequal.core.errors import Transient
from prequal.core.lifecycle import pause
from prequal.core.settings import PublisherSettings
from prequal.core.topology import GROUPS
from prequal.messaging import outbox
from prequal.messaging.consumer_lag import Offsets
from prequal.postgres.connections import Connection, SingleConnection, describe
from prequal.telemetry import metrics
from prequal.telemetry.metrics import CollectedGauge

log = structlog.get_logger()

LOOK_EVERY_SECONDS = 4.0, 6.0
"""Between these, by chance: consumers commit their offsets each second, and must not be met always just before."""
OVERDUE_SECONDS = 2.0
"""The promise of the second service level."""
COUNT_MAX = 100_000

BROKER_GAUGES = (metrics.CONSUMER_LAG, metrics.DEAD_LETTERS_STORED)
DISK_GAUGES = (metrics.DISK_FREE_BYTES, metrics.DISK_SIZE_BYTES)
DATABASE_GAUGES = tuple(fact for fact in metrics.COLLECTED if fact not in (*BROKER_GAUGES, *DISK_GAUGES))


class SystemMetrics:
    """Looks about every five seconds, at each source by itself: one that hangs keeps no other from being seen."""

    def __init__(self, settings: PublisherSettings) -> None:
        self._link = SingleConnection(settings.database_url, "survey")
        self._offsets = Offsets(settings)
        self._folder = settings.watched_folder

    async def run(self, stop: asyncio.Event) -> None:
        """Look until `stop`."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch_database(stop))
            group.create_task(self._watch_broker(stop))

    async def _watch_database(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                async with self._link.use("survey") as connection:
                    await _look_at_database(connection)
            except (Transient, asyncpg.PostgresError) as error:
                _forget(DATABASE_GAUGES)
                log.debug("probe_failed", what="PostgreSQL", reason=describe(error))
            self._look_at_disk()
            await pause(stop, random.uniform(*LOOK_EVERY_SECONDS))
        await self._link.close()

    async def _watch_broker(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                lag = await asyncio.to_thread(self._offsets.lag)
                metrics.CONSUMER_LAG.know(lag)
                stored = await asyncio.to_thread(self._offsets.dead_letters)
                metrics.DEAD_LETTERS_STORED.know({(topic,): count for topic, count in stored.items()})
            except KafkaException as error:
                _forget(BROKER_GAUGES)
                await asyncio.to_thread(self._offsets.close)
                log.debug("probe_failed", what="Kafka", reason=str(error.args[0]))
            await pause(stop, random.uniform(*LOOK_EVERY_SECONDS))
        await asyncio.to_thread(self._offsets.close)

    def _look_at_disk(self) -> None:
        if self._folder is None:
            return
        try:
            usage = shutil.disk_usage(self._folder)
        except OSError:
            _forget(DISK_GAUGES)
            return
        metrics.DISK_FREE_BYTES.know(usage.free)
        metrics.DISK_SIZE_BYTES.know(usage.total)


def _forget(facts: tuple[CollectedGauge, ...]) -> None:
    for fact in facts:
        fact.forget()


async def _look_at_database(connection: Connection) -> None:
    lanes = {(topic,): await outbox.depth(connection, topic) for topic in GROUPS}
    metrics.OUTBOX_DEPTH.know({lane: depth for lane, (depth, _, _) in lanes.items()})
    metrics.OUTBOX_OLDEST_SECONDS.know({lane: age for lane, (_, age, _) in lanes.items()})
    metrics.OUTBOX_PARKED.know({lane: parked for lane, (_, _, parked) in lanes.items()})
    for fact, value in (await undecided(connection) | await server(connection)).items():
        fact.know(value)
    metrics.ARCHIVE_DAYS_AHEAD.know(await archive_days_ahead(connection))
    metrics.DB_TRANSACTIONS.know(await transactions(connection))


async def undecided(connection: Connection) -> dict[CollectedGauge, float]:
    """How many applications wait for a decision, how many for too long, and the oldest one's age in seconds."""
    row = await connection.fetchrow(
        """
        SELECT
            (SELECT count(*) FROM (SELECT FROM applications WHERE status = 'PENDING' LIMIT $2) AS counted),
            (SELECT count(*) FROM (
                SELECT FROM applications
                WHERE status = 'PENDING' AND created_at < now() - make_interval(secs => $1)
                LIMIT $2
            ) AS counted),
            (SELECT extract(epoch FROM clock_timestamp() - created_at)::float8
             FROM applications WHERE status = 'PENDING' ORDER BY created_at LIMIT 1)
        """,
        OVERDUE_SECONDS,
        COUNT_MAX,
    )
    assert row is not None
    return {
        metrics.UNDECIDED: row[0],
        metrics.OVERDUE: row[1],
        metrics.OLDEST_UNDECIDED_SECONDS: max(0.0, row[2] or 0.0),
    }


async def server(connection: Connection) -> dict[CollectedGauge, float]:
    """What the server says of itself. Of transactions of other roles only who is in pg_read_all_stats sees the age."""
    row = await connection.fetchrow(
        """
        SELECT
            count(*),
            current_setting('max_connections')::integer,
            coalesce(max(extract(epoch FROM clock_timestamp() - xact_start))
                     FILTER (WHERE datname = current_database()), 0)::float8,
            pg_database_size(current_database()),
            (SELECT deadlocks FROM pg_stat_database WHERE datname = current_database())
        FROM pg_stat_activity
        WHERE backend_type = 'client backend'
        """
    )
    assert row is not None
    facts = (
        metrics.DB_SERVER_CONNECTIONS,
        metrics.DB_SERVER_CONNECTIONS_LIMIT,
        metrics.DB_OLDEST_TRANSACTION_SECONDS,
        metrics.DB_SIZE_BYTES,
        metrics.DB_DEADLOCKS,
    )
    return dict(zip(facts, row, strict=True))


async def archive_days_ahead(connection: Connection) -> int:
    """For how many days after today (UTC) the archive has partitions."""
    days: int = await connection.fetchval(
        """
        SELECT count(*) FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
        WHERE inhparent = 'outbox_archive'::regclass
          AND relname > 'outbox_archive_' || to_char(now() AT TIME ZONE 'UTC', 'YYYYMMDD')
        """
    )
    return days


async def transactions(connection: Connection) -> Mapping[tuple[str, ...], float]:
    """How many transactions this database has seen end, by how."""
    row = await connection.fetchrow(
        "SELECT xact_commit, xact_rollback FROM pg_stat_database WHERE datname = current_database()"
    )
    assert row is not None
    return {("committed",): row[0], ("rolled_back",): row[1]}
