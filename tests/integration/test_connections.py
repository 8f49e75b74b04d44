"""A single connection is counted as what it is: in use, idle, or gone."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from harness.database import Database
from prequal.core.errors import Transient
from prequal.postgres.connections import Connection, ConnectionPool, SingleConnection, connected
from prequal.postgres.shared_connection import SharedConnection
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


async def test_tasks_that_share_a_connection_use_it_one_after_another(database: Database) -> None:
    shared = SharedConnection(database.url, "test")

    async def one() -> int:
        async with shared.use() as connection, connection.transaction():
            server: int = await connection.fetchval("SELECT pg_backend_pid() FROM pg_sleep(0.01)")
            return server

    servers = await asyncio.gather(*(one() for _ in range(3)))

    await shared.close()
    assert len(set(servers)) == 1


# ── statements that stay prepared ─────────────────────────────────────────────────────────────────────────────────────


async def of_a_pool(database_url: str, work: Callable[[Connection], Any]) -> Any:
    async with ConnectionPool(database_url, "test", 1) as pool, pool.use("survey") as connection:
        return await work(connection)


async def of_its_own(database_url: str, work: Callable[[Connection], Any]) -> Any:
    async with connected(database_url, "test") as connection:
        return await work(connection)


async def names_of_a_statement(connection: Connection) -> list[str]:
    """Under which names a statement is prepared at the server, after its first use and after another much later."""
    names = []
    for _ in range(2):
        await connection.fetchval("SELECT 20 + 3")
        prepared = "SELECT name FROM pg_prepared_statements WHERE statement = 'SELECT 20 + 3'"
        names.append(await connection.fetchval(prepared))
        await asyncio.sleep(0.01)
    return names


@pytest.mark.parametrize("with_connection", [of_a_pool, of_its_own])
async def test_statement_stays_prepared_for_as_long_as_its_connection_lives(
    database: Database, monkeypatch: pytest.MonkeyPatch, with_connection: Callable[..., Any]
) -> None:
    loop = asyncio.get_running_loop()
    call_later = loop.call_later

    def minutes_pass(delay: float, *what: Any, **how: Any) -> asyncio.TimerHandle:
        return call_later(0 if delay > 60 else delay, *what, **how)

    monkeypatch.setattr(loop, "call_later", minutes_pass)

    first, later = await with_connection(database.url, names_of_a_statement)

    assert first is not None
    assert first == later
