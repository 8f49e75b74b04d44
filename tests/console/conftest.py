"""The console in this process, on a database of the test's own, and people who sign in to it."""

import asyncio
import json
import re
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog
import uvicorn
from argon2 import PasswordHasher
from typer.testing import CliRunner

from harness.database import Database, url_of_service
from harness.waiting import eventually
from prequal.cli.app import app as prequal_app
from prequal.console import app, waiting
from prequal.console.service import console_of
from prequal.console.visit import Console
from prequal.core.settings import load
from prequal.core.settings.console import ConsoleSettings
from prequal.core.topology import Service
from prequal.domain.person import PersonRole
from prequal.people import administration, passwords
from prequal.people.administration import NewSecrets
from prequal.people.second_factor_keys import SecondFactorKeys
from prequal.postgres.connections import ConnectionPool, connected
from prequal.record.acts import operator
from prequal.service.readiness import Readiness
from tests.builders import a_key, a_key_text

PASSWORD = "a password of the tests"
PEOPLE_KEY = a_key_text(21)
SECOND_FACTOR_KEYS = SecondFactorKeys(a_key(21))

Prequal = Callable[..., Any]


class Browser:
    """One who looks at the console; `name` is whose session it is."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client

    async def get(self, path: str) -> httpx.Response:
        return await self.client.get(path)

    async def post(self, path: str, shown_at: str = "/", **fields: Any) -> httpx.Response:
        """Send a form of ours, with the token of a page that was shown."""
        token = csrf(await self.client.get(shown_at))
        return await self.client.post(path, data={"csrf": token, **fields})

    async def sign_in(self, name: str, password: str = PASSWORD, code: str = "") -> httpx.Response:
        return await self.post("/sign-in", "/sign-in", name=name, password=password, code=code)


def csrf(page: httpx.Response) -> str:
    """The token of the forms on a page; empty without one."""
    found = re.search(r'name="csrf" value="([^"]*)"', page.text)
    return found[1] if found else ""


@pytest.fixture(autouse=True)
def _cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "_HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


@pytest.fixture(autouse=True)
def _kafka_is_not_waited_for(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Where a test has no broker, its absence is seen at once."""
    if "broker" not in request.fixturenames:
        monkeypatch.setattr("prequal.messaging.consumer_lag.ASK_SECONDS", 0.2)
        monkeypatch.setattr("prequal.ops.topic_reader.REQUEST_SECONDS", 0.2)


@pytest.fixture(autouse=True)
def _forms_wait_for_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer to a form comes after the end of what it began, however busy the machine is."""
    monkeypatch.setattr(waiting, "WAIT_SECONDS", 60.0)


@pytest.fixture
def forms_do_not_wait(monkeypatch: pytest.MonkeyPatch, _forms_wait_for_the_end: None) -> None:
    """The answer to a form comes while what it began runs."""
    monkeypatch.setattr(waiting, "WAIT_SECONDS", 0.0)


@pytest.fixture
def settings(database: Database) -> ConsoleSettings:
    url = url_of_service(database.url, "console")
    return load(ConsoleSettings, database_url=url, kafka_bootstrap_servers="127.0.0.1:1", people_key=PEOPLE_KEY)


@pytest.fixture
async def console(settings: ConsoleSettings) -> AsyncIterator[Console]:
    async with ConnectionPool(settings.database_url, "console", 2) as pool:
        yield console_of(settings, pool, Readiness(Service.CONSOLE, settings, needs_kafka=False))


@pytest.fixture
async def browser(console: Console) -> AsyncIterator[Callable[[], Browser]]:
    """Makes browsers that have no cookie yet."""
    opened: list[httpx.AsyncClient] = []
    built = app.build(console, {})

    def make() -> Browser:
        opened.append(httpx.AsyncClient(transport=httpx.ASGITransport(built), base_url="http://console"))
        return Browser(opened[-1])

    yield make
    for client in opened:
        await client.aclose()


@pytest.fixture
async def people(database: Database) -> None:
    """A person of each role, named like it."""
    async with connected(database.url, "test") as connection:
        for role in PersonRole:
            await administration.add(connection, operator(), role, [role], NewSecrets(PASSWORD))


@pytest.fixture
async def second_reviewers_name(people: None, database: Database) -> str:
    """The name of a reviewer beside the one that is named like the role."""
    async with connected(database.url, "test") as connection:
        await administration.add(connection, operator(), "meena", [PersonRole.REVIEWER], NewSecrets(PASSWORD))
    return "meena"


@pytest.fixture
async def person(browser: Callable[[], Browser], people: None) -> Callable[..., Any]:
    """Makes a client of the JSON API with the token of a person of this name."""

    async def make(name: str) -> httpx.AsyncClient:
        client = browser().client
        answer = await client.post("/api/v1/session", json={"name": name, "password": PASSWORD})
        assert answer.status_code == 201, answer.text
        client.headers["Authorization"] = f"Bearer {answer.json()['token']}"
        return client

    return make


@pytest.fixture
async def signed_in(browser: Callable[[], Browser], people: None) -> Callable[..., Any]:
    """Makes a browser in which a person of this name is signed in."""

    async def make(name: str) -> Browser:
        found = browser()
        assert (await found.sign_in(name)).status_code == 303
        return found

    return make


@asynccontextmanager
async def _served(settings: ConsoleSettings) -> AsyncIterator[uvicorn.Server]:
    async with ConnectionPool(settings.database_url, "console", 2) as pool:
        stop, console = (
            asyncio.Event(),
            console_of(settings, pool, Readiness(Service.CONSOLE, settings, needs_kafka=False)),
        )
        async with asyncio.TaskGroup() as group:
            if console.issuer_sign_in:
                group.create_task(console.issuer_sign_in.flow.keys.run(stop))
            built = app.build(console, {})
            yield uvicorn.Server(uvicorn.Config(built, port=0, log_level="critical", lifespan="off"))
            stop.set()


@pytest.fixture
def address(settings: ConsoleSettings) -> Iterator[str]:
    """A console that is served over HTTP."""
    servers: list[uvicorn.Server] = []

    async def serve() -> None:
        async with _served(settings) as server:
            servers.append(server)
            await server.serve()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        eventually(lambda: bool(servers and servers[0].started), within=30)
        yield f"http://127.0.0.1:{servers[0].servers[0].sockets[0].getsockname()[1]}"
    finally:
        servers[0].should_exit = True
        thread.join(30)


@pytest.fixture
def prequal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Prequal]:
    """Runs `prequal …` of a person who has no database."""
    # The console that it asks runs in this process, and its log is no part of the command's output.
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("PREQUAL_DATA_DIR", str(tmp_path / "none"))
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.setenv("PREQUAL_PASSWORD", PASSWORD)
    monkeypatch.setenv("PREQUAL_CODE", "")
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> Any:
        done = CliRunner().invoke(prequal_app, list(words))
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return json.loads(done.stdout) if "--json" in words else done.stdout

    yield run
    structlog.reset_defaults()


def backtest_waits(database: Database) -> bool:
    """Whether a backtest waits for a lock of the test's."""
    return bool(
        database.value(
            """
            SELECT count(*) FROM pg_stat_activity
            WHERE application_name LIKE 'backtest%%' AND wait_event_type = 'Lock'
            """
        )
    )
