"""Republishes the events of applications that have been undecided for too long, whatever was lost on the way.

Invariant: it adds no load to an overloaded system: nothing is republished while events wait or consumers lag.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from uuid import UUID

import asyncpg
import structlog
from confluent_kafka import KafkaException

from prequal.core import failpoints
from prequal.core.errors import Transient
from prequal.core.failpoints import Place
from prequal.core.lifecycle import pause
from prequal.core.settings import PublisherSettings
from prequal.core.topology import GROUPS
from prequal.messaging import consumer_lag, outbox
from prequal.postgres.connections import SingleConnection, reason_of
from prequal.postgres.undecided import MarkMover
from prequal.publisher import queries
from prequal.publisher.lease import LeaseHolder
from prequal.telemetry import metrics

log = structlog.get_logger()

NAME = "republisher"
"""Of its lease, its connection and its log lines."""
CHECK_EVERY_SECONDS = 5.0
OUTBOX_AGE_MAX_SECONDS = 5.0
LAG_MAX = 1000


class Republisher:
    """Every five seconds, republishes the events of the oldest applications that are due."""

    def __init__(self, settings: PublisherSettings) -> None:
        self._settings = settings
        self._connection = SingleConnection(settings.database_url, NAME)
        self._lease = LeaseHolder(NAME, 3 * CHECK_EVERY_SECONDS)
        self._mark = MarkMover()

    async def run(self, stop: asyncio.Event) -> None:
        """Republish until `stop`, retrying whatever fails; then release the lease."""
        while not stop.is_set():
            try:
                await self._round()
            except (Transient, asyncpg.PostgresError) as error:
                log.warning("retrying", target=NAME, reason=reason_of(error))
            await pause(stop, CHECK_EVERY_SECONDS)
        with suppress(Transient, asyncpg.PostgresError):
            async with self._connection.use() as connection:
                await self._lease.release(connection)
        await self._connection.close()

    async def _round(self) -> None:
        async with self._connection.use("republish") as connection:
            await self._lease.keep(connection)
            if self._lease.held is None:
                return
            await self._mark.move(connection)
            due = await queries.due_for_republishing(
                connection, self._settings.republish_after_seconds, self._settings.republish_max
            )
        if due and await self._has_capacity():
            await self._republish(due)

    async def _has_capacity(self) -> bool:
        """Whether the outbox is young and the consumers keep up; when that is unknown, the answer is no."""
        async with self._connection.use("republish") as connection:
            waiting = await outbox.waiting(connection, counted_max=1)
        if max(waiting[topic].oldest_seconds for topic in GROUPS) > OUTBOX_AGE_MAX_SECONDS:
            return False
        try:
            behind = await asyncio.to_thread(consumer_lag.by_group, self._settings)
            return sum(behind.values()) <= LAG_MAX
        except KafkaException:
            return False

    async def _republish(self, due: Sequence[UUID]) -> None:
        async with self._connection.use("republish") as connection, connection.transaction():
            events = await outbox.republish(connection, due)
            await queries.record_republication(connection, due)
            failpoints.reached(Place.REPUBLISHER_BEFORE_COMMIT)
        failpoints.reached(Place.REPUBLISHER_AFTER_COMMIT)
        metrics.REPUBLISHED.inc(events)
        log.warning("republished", applications=len(due), events=events)
