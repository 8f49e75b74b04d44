"""Why a relay says that it does not publish: the one of its two dependencies that is to blame."""

import asyncio
from types import SimpleNamespace
from typing import Any

import asyncpg
import pytest

from harness.waiting import soon
from prequal.core.circuit_breaker import FAILURES_MAX
from prequal.core.settings import PublisherSettings, load
from prequal.core.topology import TOPICS
from prequal.messaging.delivery import DeliveryReports
from prequal.messaging.outbox_producer import ProducerDied
from prequal.postgres.connections import LostRace, PostgresAway, PostgresLeftAlone, SingleConnection
from prequal.publisher.relay import TopicRelay
from prequal.publisher.unpublished_topics import UnpublishedTopics

TOPIC = TOPICS[0]
ADDRESS = "postgresql://127.0.0.1:1/nowhere"


def a_relay() -> TopicRelay:
    """A relay whose database cannot be reached."""
    stand_in: Any = SimpleNamespace(generation=0, reports={TOPIC: DeliveryReports()})
    settings = load(PublisherSettings, _env_file=None, database_url=ADDRESS, kafka_bootstrap_servers="127.0.0.1:1")
    return TopicRelay(TOPIC, settings, stand_in, UnpublishedTopics(settings, [TOPIC]))


async def failure_of(relay: TopicRelay, error: Exception) -> str:
    """What the relay says after a round that ended so."""
    stopped = asyncio.Event()
    stopped.set()
    await relay._retry_later(error, stopped)
    return relay.failure or ""


@pytest.mark.parametrize("error", [LostRace(), asyncpg.CheckViolationError("no partition")])
async def test_failure_of_the_database_is_not_blamed_on_kafka(error: Exception) -> None:
    failure = await failure_of(a_relay(), error)

    assert failure.startswith(f"DATABASE_ERROR on {TOPIC}: ")


async def test_death_of_the_producer_is_a_failure_to_publish() -> None:
    failure = await failure_of(a_relay(), ProducerDied())

    assert failure.startswith(f"KAFKA_PUBLISH_ERROR on {TOPIC}: ")


async def test_database_that_is_away_is_what_the_relay_names() -> None:
    relay, stop = a_relay(), asyncio.Event()

    running = asyncio.create_task(relay.run(stop))
    await soon(lambda: relay.failure is not None)

    running.cancel()
    failure = str(relay.failure)
    assert failure.startswith(f"DATABASE_ERROR on {TOPIC}: ")
    assert "PostgreSQL cannot be reached: ConnectionRefusedError" in failure


async def test_relay_behind_an_open_breaker_still_names_the_database_that_is_away() -> None:
    for _ in range(FAILURES_MAX):
        with pytest.raises(PostgresAway):
            async with SingleConnection(ADDRESS, "another").use("any"):
                pytest.fail("connected")

    relay = a_relay()
    with pytest.raises(PostgresLeftAlone) as refused:
        await relay._round()
    failure = await failure_of(relay, refused.value)

    assert "left alone for now; at last: PostgreSQL cannot be reached: ConnectionRefusedError" in failure
