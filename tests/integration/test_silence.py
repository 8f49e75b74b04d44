"""Long statements, while their PostgreSQL is frozen, and while it takes connections."""

import asyncio
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, ExitStack, suppress

import psycopg
import pytest

from harness.database import Database, prepare
from harness.policies import policy_text
from harness.stores import a_postgres, frozen
from harness.waiting import PATIENCE_SECONDS, soon
from prequal.domain.policy.loading import load
from prequal.local.postgres import Postgres
from prequal.ops import backtest
from prequal.postgres import silence
from prequal.postgres.connections import Connection, PostgresAway, connected
from prequal.postgres.primary import CONNECT_SECONDS, is_silent
from tests.support.submissions import stored

SENTENCE = "PostgreSQL has not answered for a minute: begin again when it does."


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    """A server that tests may freeze."""
    with a_postgres() as server:
        prepare(server.database_url)
        yield server


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(silence, "EVERY_SECONDS", 0.1)
    monkeypatch.setattr(silence, "ANSWER_SECONDS", CONNECT_SECONDS)


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Of each time that the server was asked, whether it was silent."""
    found = []

    async def noted(database_url: str, within: float) -> bool:
        found.append(await is_silent(database_url, within))
        return found[-1]

    monkeypatch.setattr(silence, "is_silent", noted)
    return found


def long(server: Postgres) -> AbstractAsyncContextManager[Connection]:
    """A connection whose statements may take over a minute."""
    return connected(server.database_url, "test", {"statement_timeout": "0"}, silence.LONG_SECONDS + 1)


def fill(server: Postgres, others: ExitStack) -> None:
    """Take every connection that the server has."""
    with suppress(psycopg.OperationalError):
        while True:
            others.enter_context(psycopg.connect(server.database_url))


async def test_long_statement_whose_server_is_frozen_is_given_up(server: Postgres) -> None:
    async def ask() -> None:
        async with long(server) as connection:
            with frozen(server):
                async with connection.transaction():
                    await connection.execute("SELECT 1")

    with pytest.raises(PostgresAway) as failed:
        await asyncio.wait_for(ask(), PATIENCE_SECONDS)

    assert str(failed.value) == SENTENCE


async def test_long_statement_whose_server_takes_connections_is_waited_for(server: Postgres) -> None:
    async with long(server) as connection:
        assert await connection.fetchval("SELECT 1 FROM pg_sleep(2)") == 1


async def test_long_statement_whose_server_refuses_connections_is_waited_for(
    server: Postgres, found: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(silence, "ANSWER_SECONDS", PATIENCE_SECONDS)
    async with asyncio.timeout(PATIENCE_SECONDS), long(server) as connection:
        with ExitStack() as others:
            fill(server, others)
            found.clear()
            while len(found) <= silence.MISSES_MAX:
                assert await connection.fetchval("SELECT 1 FROM pg_sleep(2)") == 1

    assert not any(found)


async def test_server_that_is_frozen_for_less_than_a_minute_is_waited_for(server: Postgres, found: list[bool]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS), long(server) as connection:
        with frozen(server):
            answer = asyncio.create_task(connection.fetchval("SELECT 1 FROM pg_sleep(1)"))
            await soon(lambda: any(found))

        assert await answer == 1


def test_backtest_whose_server_is_frozen_in_the_middle_is_given_up(
    server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backtest, "ROWS_AT_ONCE", 1)
    stored(Database(server.database_url), 3)
    read = []

    with ExitStack() as until_the_end:

        def freeze(number: int, _: int) -> None:
            read.append(number)
            until_the_end.enter_context(frozen(server))

        with pytest.raises(PostgresAway) as failed:
            backtest.backtest(server.database_url, load(policy_text()), progress=freeze)

    assert (read, str(failed.value)) == ([1], SENTENCE)
