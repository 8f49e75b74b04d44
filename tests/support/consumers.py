"""The two consumers inside a test's own event loop, each in a group of the test's own."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from harness.broker import Broker
from harness.database import Database
from harness.policies import decided_by_v1
from harness.system import DRAW_KEY, ENCRYPTION_KEY, REPORT_KEY
from prequal.core.settings import CreditSettings, DecisionSettings, load
from prequal.core.topology import Service, topic_of
from prequal.credit.bureau import Bureau, SimulatedBureau
from prequal.credit.handler import CreditHandler
from prequal.decision.handler import DecisionHandler
from prequal.domain import sandbox
from prequal.domain.events import EventType
from prequal.messaging import consumer as consumer_module
from prequal.messaging.consumer import BatchConsumer
from prequal.messaging.handler import Handler
from prequal.messaging.own_event_publisher import OwnEventPublisher
from prequal.postgres.connections import SingleConnection
from prequal.security.draws import ChallengeDraws, ScoreDraws
from prequal.security.pan_encryption import KeyRing

from .submissions import KEY_RING, REPORT_MAC

COMMIT_EVERY_MS = 50
"""How often offsets are committed: a second, as in production, would be most of what a test takes."""

POLL_SECONDS = 0.05
"""How long an idle consumer polls before it looks whether it is to stop."""


class Consuming:
    """A consumer at work, and the name of its group."""

    def __init__(self, consumer: BatchConsumer[Any], group: str, broker: Broker, topic: str) -> None:
        self.consumer = consumer
        self.group = group
        self._broker = broker
        self._topic = topic

    def reason_with(self, words: str) -> str:
        """The reason for not being ready, if it holds these words; else nothing."""
        reason = self.consumer.reason_not_ready() or ""
        return reason if words in reason else ""

    def all_handled(self) -> bool:
        """Whether every message of the topic is behind the group's offsets."""
        return self.handled() == self._broker.published(self._topic)

    def handled(self) -> int:
        """How many messages are behind the group's offsets."""
        return self._broker.committed(self.group, self._topic)


@asynccontextmanager
async def assessing(
    database: Database,
    broker: Broker,
    keys: KeyRing = KEY_RING,
    bureau: Bureau | None = None,
    report_max_age_seconds: float = 0,
    **settings: Any,
) -> AsyncIterator[Consuming]:
    """credit-service's consumer, for as long as the block lasts; with the simulated bureau unless one is given."""
    loaded = load(CreditSettings, **_common(database, broker), encryption_key=ENCRYPTION_KEY, **settings)
    events = OwnEventPublisher(loaded, Service.CREDIT, topic_of(EventType.CREDIT_REPORT_GENERATED))
    connection = SingleConnection(database.url, "credit in a test")
    simulated = SimulatedBureau(ScoreDraws(DRAW_KEY), sandbox.SCORES)
    handler = CreditHandler(
        connection, keys, bureau or simulated, REPORT_MAC, ChallengeDraws(DRAW_KEY), events, report_max_age_seconds
    )
    async with _running(loaded, handler, broker) as consuming:
        yield consuming


@asynccontextmanager
async def deciding(
    database: Database, broker: Broker, group: str | None = None, **settings: Any
) -> AsyncIterator[Consuming]:
    """decision-service's consumer, for as long as the block lasts; in `group`, else in one of its own."""
    loaded = load(DecisionSettings, **_common(database, broker), **settings)
    connection = SingleConnection(database.url, "decision in a test")
    accept_unsigned = loaded.accept_unsigned_reports
    handler = DecisionHandler(connection, decided_by_v1, REPORT_MAC, accept_unsigned=accept_unsigned)
    async with _running(loaded, handler, broker, group) as consuming:
        yield consuming


@asynccontextmanager
async def _running(
    settings: CreditSettings | DecisionSettings, handler: Handler[Any], broker: Broker, group: str | None = None
) -> AsyncIterator[Consuming]:
    group = group or f"test-{uuid.uuid4()}"
    consumer = BatchConsumer(settings, group, handler)
    consumer._partitions._settings["auto.commit.interval.ms"] = COMMIT_EVERY_MS
    stop = asyncio.Event()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(consumer_module, "POLL_SECONDS", POLL_SECONDS)
        running = asyncio.create_task(consumer.run(stop))
        try:
            yield Consuming(consumer, group, broker, topic_of(handler.event_class.type))
        finally:
            stop.set()
            await running
            broker.forget(group)


def _common(database: Database, broker: Broker) -> dict[str, Any]:
    return {
        "_env_file": None,
        "database_url": database.url,
        "kafka_bootstrap_servers": broker.bootstrap_servers,
        "report_key": REPORT_KEY,
    }
