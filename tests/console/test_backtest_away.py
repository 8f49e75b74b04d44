"""A backtest whose PostgreSQL stops, before it or in the middle: who asked learns of it, and the next one is made."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from harness.database import Database, prepare
from harness.stores import a_postgres
from harness.waiting import PATIENCE_SECONDS, eventually, soon
from prequal.console.visit import Console
from prequal.core.circuit_breaker import FAILURES_MAX
from prequal.core.topology import ExitCode
from prequal.domain.person import PersonRole
from prequal.local.postgres import Postgres
from prequal.schema.retention import maintain
from tests.console.conftest import backtest_waits, csrf
from tests.support.console import document, fields, says

SignedIn = Callable[..., Any]
BACKTESTS = "/api/v1/policy/backtests"


@pytest.fixture
def server() -> Iterator[Postgres]:
    """A server that a test may stop."""
    with a_postgres() as server:
        yield server


@pytest.fixture
def database(server: Postgres) -> Iterator[Database]:
    """Its one database."""
    database = Database(server.database_url)
    prepare(database.url)
    maintain(database.url)
    yield database
    database.close()


@pytest.fixture
async def officer(signed_in: SignedIn) -> Any:
    """A risk officer who has proposed v2."""
    officer = await signed_in(PersonRole.RISK_OFFICER)
    await officer.post("/policy", document=document())
    return officer


@pytest.fixture
def held_up(officer: Any, database: Database) -> Iterator[None]:
    """A backtest has begun, and reads nothing before the server stops."""
    with psycopg.connect(database.url) as other:
        other.execute("LOCK TABLE applications")
        yield
        other.close()


@pytest.mark.usefixtures("held_up", "forms_do_not_wait")
async def test_backtest_whose_postgresql_stops_in_the_middle_has_failed_and_another_is_made(
    officer: Any, console: Console, server: Postgres, database: Database
) -> None:
    begun = await officer.post("/policy/v2/backtest", **await fields(officer, "v2", "backtest"), days="30")
    while_it_runs = await officer.get("/policy/v2")
    await soon(lambda: backtest_waits(database))
    server.kill()

    away = await soon(lambda: shown_again(officer, console))
    server.start()
    ended = await soon(lambda: says(officer, "The backtest for risk_officer failed"))
    again = await officer.post("/policy/v2/backtest", **await fields(officer, "v2", "backtest"), days="30")

    assert (begun.status_code, while_it_runs.headers["refresh"]) == (303, "2")
    assert "PostgreSQL does not answer. This is what the page showed you at" in away
    assert ": PostgreSQL did not answer any more: begin it again.</p>" in ended
    assert again.status_code == 303
    assert await soon(lambda: says(officer, "would have another status"))


async def shown_again(officer: Any, console: Console) -> str:
    """The page of v2 as it was shown before, once no backtest runs any more."""
    return "" if console.backtests.is_running else str((await officer.get("/policy/v2")).text)


async def test_backtest_is_not_begun_while_postgresql_is_away(
    officer: Any, person: SignedIn, console: Console, server: Postgres
) -> None:
    api = await person(PersonRole.RISK_OFFICER)
    form = await officer.get("/policy/v2")
    server.kill()

    refused = await officer.client.post("/policy/v2/backtest", data={"csrf": csrf(form), "days": "30"})
    at_api = [await api.post(BACKTESTS, json={"version": "v2"}) for _ in range(FAILURES_MAX + 1)]

    assert (refused.status_code, console.backtests.is_running) == (503, False)
    assert "PostgreSQL does not answer. It may not have been done" in refused.text
    assert {(each.status_code, each.json()["message"]) for each in at_api} == {(503, "PostgreSQL does not answer.")}
    server.start()
    assert await soon(lambda: made(api))


async def made(api: httpx.AsyncClient) -> bool:
    """A backtest of v2, once PostgreSQL is asked again."""
    answer = await api.post(BACKTESTS, json={"version": "v2"})
    return answer.status_code == 200


@pytest.mark.usefixtures("held_up")
async def test_backtest_over_the_api_whose_postgresql_stops_is_answered_and_another_is_made(
    officer: Any, person: SignedIn, console: Console, server: Postgres, database: Database
) -> None:
    api = await person(PersonRole.RISK_OFFICER)
    asked = asyncio.create_task(api.post(BACKTESTS, json={"version": "v2", "record": True}))
    await soon(lambda: backtest_waits(database))
    server.kill()

    answer = await asked

    assert (answer.status_code, answer.json()["message"]) == (503, "PostgreSQL does not answer.")
    assert not console.backtests.is_running
    server.start()
    assert await soon(lambda: made(api))


def test_backtest_at_a_command_line_whose_postgresql_stops_ends_and_says_so(
    server: Postgres, database: Database, tmp_path: Path
) -> None:
    (tmp_path / "v2.toml").write_text(document())
    words = [sys.executable, "-P", "-m", "prequal", "policy", "backtest", str(tmp_path / "v2.toml")]
    settings = {**os.environ, "DATABASE_URL": database.url, "XDG_CONFIG_HOME": str(tmp_path)}
    with psycopg.connect(database.url) as other:
        other.execute("LOCK TABLE applications")
        with subprocess.Popen(words, env=settings, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as command:
            eventually(lambda: backtest_waits(database))
            server.kill()
            _, said = command.communicate(timeout=PATIENCE_SECONDS)
        other.close()

    assert command.returncode == ExitCode.UNREACHABLE
    assert said.splitlines()[-1].startswith("prequal: PostgreSQL failed: ")
