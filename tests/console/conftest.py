"""The console in this process, on a database of the test's own, and people who sign in to it."""

import re
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from argon2 import PasswordHasher

from harness.database import Database, url_of_service
from prequal.console import app
from prequal.console.service import console_of
from prequal.console.visit import Console
from prequal.core.console_settings import ConsoleSettings
from prequal.core.settings import load
from prequal.domain.person import PersonRole
from prequal.people import administration, passwords
from prequal.people.administration import NewSecrets
from prequal.postgres.connections import ConnectionPool, connected
from prequal.record.acts import operator
from prequal.service.readiness import Readiness

PASSWORD = "a password of the tests"


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
        monkeypatch.setattr("prequal.ops.dead_letter_reader.REQUEST_SECONDS", 0.2)


@pytest.fixture
def settings(database: Database) -> ConsoleSettings:
    url = url_of_service(database.url, "console")
    return load(ConsoleSettings, database_url=url, kafka_bootstrap_servers="127.0.0.1:1")


@pytest.fixture
async def console(settings: ConsoleSettings) -> AsyncIterator[Console]:
    async with ConnectionPool(settings.database_url, "console", 2) as pool:
        yield console_of(settings, pool, Readiness(settings, needs_kafka=False))


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
async def person(browser: Callable[[], Browser], people: None) -> Callable[..., Any]:
    """Makes a client of the JSON API with the token of a person of this role."""

    async def make(name: str) -> httpx.AsyncClient:
        client = browser().client
        answer = await client.post("/api/v1/session", json={"name": name, "password": PASSWORD})
        assert answer.status_code == 201, answer.text
        client.headers["Authorization"] = f"Bearer {answer.json()['token']}"
        return client

    return make


@pytest.fixture
async def signed_in(browser: Callable[[], Browser], people: None) -> Callable[..., Any]:
    """Makes a browser in which a person of this role is signed in."""

    async def make(role: PersonRole) -> Browser:
        found = browser()
        assert (await found.sign_in(role)).status_code == 303
        return found

    return make
