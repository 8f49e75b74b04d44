"""Chromium without a network, the console as a process over a filled database, and people who sign in to it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import psycopg
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from harness.broker import Broker
from harness.database import Cluster
from harness.system import a_system
from prequal.core.settings.checks import SIGN_IN_CALLBACK
from prequal.core.topology import Service
from prequal.local.kafka import Kafka
from tests.browser import filled
from tests.browser.people import PATIENCE_MS, Console, at_localhost, sign_in, watch
from tests.builders import a_key_text
from tests.support.sign_in_issuer import SETTINGS, SignInIssuer

expect.set_options(timeout=PATIENCE_MS)

CHROMIUM = "/usr/bin/chromium"
RECORD_KEY = "YGFiY2RlZmdoaWprbG1ub3BxcnN0dXZ3eHl6e3x9fn8="
NO_NETWORK = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost"

Opened = Callable[..., Page]


@pytest.fixture(scope="session")
def console(cluster: Cluster, kafka: Kafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    """The console, for all tests: each acts on something of its own, or looks at what is there."""
    folder = tmp_path_factory.mktemp("console")
    with (
        cluster.database() as database,
        a_system(database.url, kafka.bootstrap_servers, folder) as system,
        SignInIssuer.running() as issuer,
    ):
        broker = Broker(kafka.bootstrap_servers)
        found = filled.everything(database, broker)
        process = system.further("console", "console", RECORD_KEY=RECORD_KEY, PEOPLE_KEY=a_key_text(21))
        process.extra = knowing(issuer, at_localhost(process.url))
        filled.at_once(filled.tie_auditor(database, issuer.url))
        process.launch()
        process.wait_until_ready()
        with ExitStack() as connected:
            for service in set(Service) - {Service.CONSOLE}:  # seem to run
                connected.enter_context(psycopg.connect(database.url, application_name=f"{service} ready"))
            yield Console(process.url, database, found, broker)


def knowing(issuer: SignInIssuer, url: str) -> dict[str, str]:
    """The settings of a console at `url` by whose page people can go to this issuer, which knows it."""
    issuer.knows_the_console_at(f"{url}{SIGN_IN_CALLBACK}")
    settings = SETTINGS | {"oidc_issuer": issuer.url, "oidc_redirect_uri": f"{url}{SIGN_IN_CALLBACK}"}
    return {name.upper(): value for name, value in settings.items()}


@pytest.fixture(scope="session")
def browser(console: Console) -> Iterator[Browser]:
    """Starts after all that runs something of asyncio in this thread, which its loop holds from then on."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", NO_NETWORK])
        yield browser
        browser.close()


@pytest.fixture
def opened(browser: Browser, console: Console) -> Iterator[Opened]:
    """Opens the console as a person; nothing may fail in a page of it, and no other host be asked."""
    contexts, problems = [], list[str]()

    def open_as(person: str | None, *statuses: int, **options: Any) -> Page:
        """A new page of a person's browser; an answer of one of the statuses is no failure."""
        if person and person not in console.states:
            console.states[person] = sign_in(browser, console.url, person, console.filled.totp_secrets[person])
        known = {"storage_state": console.states[person]} if person else {}
        contexts.append(browser.new_context(base_url=console.url, **known, **options))
        page = contexts[-1].new_page()
        page.set_default_timeout(PATIENCE_MS)
        watch(page, problems, *statuses)
        return page

    yield open_as
    for context in contexts:
        context.close()
    assert problems == []
