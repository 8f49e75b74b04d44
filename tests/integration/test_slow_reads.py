"""Reads that are slow, or too many, say nothing of the database: nobody who writes is kept from it."""

import asyncio

import pytest

from harness.database import Database
from prequal.core.circuit_breaker import FAILURES_MAX, State
from prequal.core.errors import Transient
from prequal.postgres.connections import ConnectionPool, SingleConnection
from prequal.telemetry.breakers import breaker_of


async def _look(read_pool: ConnectionPool) -> None:
    async with asyncio.timeout(0.05), read_pool.use("status"):
        raise AssertionError("there was a connection")


async def test_who_gives_up_waiting_for_a_turn_opens_no_breaker(database: Database) -> None:
    async with ConnectionPool(database.url, "test", 1) as read_pool, read_pool.use("status"):
        ends = await asyncio.gather(*(_look(read_pool) for _ in range(FAILURES_MAX * 2)), return_exceptions=True)
        state = breaker_of("database", database.url).state

    assert {type(end) for end in ends} == {TimeoutError}
    assert state is State.CLOSED


async def test_statement_that_took_too_long_opens_no_breaker(database: Database) -> None:
    single = SingleConnection(database.url, "test", statement_timeout="10")
    for _ in range(FAILURES_MAX * 2):
        with pytest.raises(Transient):
            async with single.use() as connection:
                await connection.execute("SELECT pg_sleep(1)")
    await single.close()

    assert breaker_of("database", database.url).state is State.CLOSED
