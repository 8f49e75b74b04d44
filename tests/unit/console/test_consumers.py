"""`console.consumers`: Kafka is asked often while somebody looks at a page, and seldom else."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from harness.waiting import soon
from prequal.console import consumers
from prequal.console.consumers import Consumers
from prequal.core.settings import ApiSettings, load
from tests.builders import DATABASE_URL, a_key_text


class Watched(Consumers):
    """Consumers whose Kafka is not there; counts how often it is asked."""

    asked = 0

    async def ask(self) -> None:
        self.asked += 1


@pytest.fixture
async def watched(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Watched]:
    """Consumers that are watched, and were asked for once."""
    monkeypatch.setattr(consumers, "ASK_EVERY_SECONDS", 0.01)
    keys = {"encryption_key": a_key_text(1), "pan_hash_key": a_key_text(2)}
    settings = load(ApiSettings, _env_file=None, database_url=DATABASE_URL, kafka_bootstrap_servers="x:1", **keys)
    made, stop = Watched(settings), asyncio.Event()
    watching = asyncio.create_task(made.watch(stop))
    await soon(lambda: made.asked == 1)
    yield made
    stop.set()
    await watching


async def test_kafka_is_not_asked_again_while_nobody_looks(watched: Watched) -> None:
    await asyncio.sleep(0.1)

    assert watched.asked == 1


async def test_kafka_is_asked_again_when_somebody_looks(watched: Watched) -> None:
    await asyncio.sleep(0.1)

    watched.seen()

    await soon(lambda: watched.asked == 2)


async def test_kafka_is_asked_now_and_then_while_nobody_looks(
    monkeypatch: pytest.MonkeyPatch, watched: Watched
) -> None:
    monkeypatch.setattr(consumers, "UNSEEN_SECONDS", 0.05)
    watched.seen()

    await soon(lambda: watched.asked > 3)
