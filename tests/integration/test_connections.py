"""A single connection is counted as what it is: in use, idle, or gone."""

from collections.abc import Callable

import pytest

from harness.database import Database
from prequal.core.errors import Transient
from prequal.postgres.connections import SingleConnection, connected
from prequal.telemetry import metrics
from tests.support.database_away import let_no_connection_be_closed


@pytest.fixture
def connections() -> Callable[[], tuple[float, ...]]:
    """How many are in use and how many idle, since the test began."""

    def now() -> tuple[float, ...]:
        return tuple(
            sample.value
            for gauge in (metrics.DB_CONNECTIONS_ACTIVE, metrics.DB_CONNECTIONS_IDLE)
            for family in gauge.collect()
            for sample in family.samples
            if sample.labels == {"use": "own"}
        )

    before = now()
    return lambda: tuple(value - then for value, then in zip(now(), before, strict=True))


async def test_connection_in_use_is_active_then_idle_then_gone(
    database: Database, connections: Callable[[], tuple[float, ...]]
) -> None:
    single = SingleConnection(database.url, "test")

    async with single.use("look_up") as connection:
        await connection.execute("SELECT 1")
        used = connections()
    kept = connections()
    await single.close()

    assert used == (1, 0)
    assert kept == (0, 1)
    assert connections() == (0, 0)


async def test_connection_that_died_is_neither(
    database: Database, connections: Callable[[], tuple[float, ...]]
) -> None:
    single = SingleConnection(database.url, "test")

    with pytest.raises(Transient):
        async with single.use() as connection:
            await connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    gone = connections()
    async with single.use():
        again = connections()
    await single.close()

    assert gone == (0, 0)
    assert again == (1, 0)
    assert connections() == (0, 0)


async def test_work_that_is_done_is_not_lost_to_a_server_that_does_not_say_goodbye(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def number() -> int:
        async with connected(database.url, "test") as connection:
            found: int = await connection.fetchval("SELECT 1")
            return found

    let_no_connection_be_closed(monkeypatch)

    assert await number() == 1
