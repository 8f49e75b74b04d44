"""Whether the database and the broker answer: asked every two seconds, so that a probe never waits.

Invariant: an answer is never older than about four seconds, and a dependency that hangs counts as away.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import structlog
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from prequal.core.circuit_breaker import Breaker, BreakerOpen
from prequal.core.errors import PrequalError
from prequal.core.lifecycle import pause
from prequal.core.settings import ServiceSettings
from prequal.core.topology import Service, topic_of
from prequal.domain.events import EventType
from prequal.messaging.kafka_clients import Refusal, common_settings
from prequal.postgres.primary import ReadOnlyServer
from prequal.postgres.shared_connection import SharedConnection
from prequal.telemetry import metrics
from prequal.telemetry.breakers import breaker_of

log = structlog.get_logger()

ASK_EVERY_SECONDS = 2.0
ASK_AGAIN_SECONDS = 1.0
"""How soon a dependency is asked again that did not answer."""
ANSWER_SECONDS = 2.0
CONNECTION = "ready"
"""The second word of the name of the connection over which each process asks its database.

The first is its service, whatever SERVICE_NAME calls the process: by that the console knows which services are there.
"""
READ_ONLY = "PostgreSQL takes no writes: a standby, or read-only"


def say_changed(dependency: str, *, up: bool, reason: str | None) -> None:
    """Log that a dependency answers again, or no longer, and why."""
    report, known = log.info if up else log.warning, {"reason": reason} if reason else {}
    report("dependency_changed", dependency=dependency, state="connected" if up else "disconnected", **known)


class Readiness:
    """The last answers of the dependencies, and what the service says: its reason not to be ready, and details.

    Attributes:
        database: the connection over which the database is asked, for what else a process looks up now and then.
        started: whether the process works.
    """

    def __init__(
        self,
        service: Service,
        settings: ServiceSettings,
        reason_not_ready: Callable[[], str | None] = lambda: None,
        details: Callable[[], Mapping[str, Any]] = dict,
        *,
        needs_kafka: bool = True,
        breakers: Mapping[str, Breaker] = MappingProxyType({}),
    ) -> None:
        """Watch the dependencies of `settings`, as a process of `service`; `breakers` of others are only shown."""
        self.database = SharedConnection(settings.database_url, f"{service} {CONNECTION}")
        self._kafka = settings
        self._needs_kafka = needs_kafka
        self._breakers = {"database": breaker_of("database", settings.database_url), **breakers}
        if needs_kafka:  # a process that works without the broker is as ready without it
            self._breakers["kafka_producer"] = breaker_of("kafka_producer", settings.kafka_bootstrap_servers)
        self._up: dict[str, bool | None] = {"database": None, "kafka": None}
        self._database_is_read_only = False
        self._refusal = Refusal()
        self._said: dict[str, str | None] = {}
        self._reason_not_ready = reason_not_ready
        self._details = details
        self.started = False

    def answer(self) -> tuple[int, dict[str, Any]]:
        """The status code and body of `/ready`."""
        body: dict[str, Any] = {name: "connected" if up else "disconnected" for name, up in self._up.items()}
        body["breakers"] = {name: breaker.state.word for name, breaker in self._breakers.items()}
        body |= self._details()
        reason = self._reason()
        if reason or not self._up["database"] or (self._needs_kafka and not self._up["kafka"]):
            return 503, {"status": "not_ready", **body} | ({"reason": reason} if reason else {})
        return 200, {"status": "ready" if self._up["kafka"] else "degraded", **body}

    def _reason(self) -> str | None:
        if self._database_is_read_only:
            return READ_ONLY
        if self._needs_kafka and not self._up["kafka"] and self._refusal.sentence:
            return self._refusal.sentence
        return self._reason_not_ready() if self.started else "starting"

    async def watch(self, stop: asyncio.Event) -> None:
        """Ask both dependencies until `stop`."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._ask_database(stop))
            group.create_task(self._ask_kafka(stop))

    async def _ask_database(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                async with asyncio.timeout(ANSWER_SECONDS), self.database.use() as connection:
                    await connection.fetchval("SELECT 1")
                self._record("database", up=True)
                self._database_is_read_only = False
            except (TimeoutError, PrequalError) as error:
                self._record("database", up=False)
                # The one call that an open breaker lets through may always be another's, which then knows why.
                why = self._breakers["database"].last_failure if isinstance(error, BreakerOpen) else type(error)
                self._database_is_read_only = why is ReadOnlyServer
            await self._pause(stop, "database")
        await self.database.close()

    async def _ask_kafka(self, stop: asyncio.Event) -> None:
        # A frozen broker still accepts TCP, so it is asked for a topic's metadata, which it must answer itself. Not for
        # the description of the cluster, nor anything else of the admin API: librdkafka 2.16 aborts the process when a
        # broker dies while it answers.
        settings: dict[str, Any] = common_settings(self._kafka) | {
            "client.id": "prequal-ready",
            "error_cb": self._refusal,
        }
        admin = AdminClient(settings, logger=logging.getLogger("librdkafka"))
        while not stop.is_set():
            try:
                await asyncio.to_thread(admin.list_topics, topic_of(EventType.APPLICATION_SUBMITTED), ANSWER_SECONDS)
                self._refusal.sentence = None
                self._record("kafka", up=True)
            except KafkaException:
                admin.poll(0)  # has the callback called
                self._record("kafka", up=False, reason=self._refusal.sentence)
            await self._pause(stop, "kafka")

    async def _pause(self, stop: asyncio.Event, name: str) -> None:
        await pause(stop, ASK_EVERY_SECONDS if self._up[name] else ASK_AGAIN_SECONDS)

    def _record(self, name: str, *, up: bool, reason: str | None = None) -> None:
        if (self._up[name], self._said.get(name)) != (up, reason):
            say_changed(name, up=up, reason=reason)
        self._said[name] = reason
        self._up[name] = up
        metrics.DEPENDENCY_UP.labels(name).set(up)
