"""`prequal login --browser`: the command line as whom the issuer vouches for."""

import asyncio
import socket
import webbrowser
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from harness.database import Database, url_of_service
from harness.waiting import eventually
from prequal.cli import browser_login, signed_in
from prequal.core.errors import Refused, UsageError
from prequal.core.settings import load
from prequal.core.settings.console import ConsoleSettings
from prequal.domain.person import PersonRole
from prequal.issuers.identity import Identity
from prequal.people import administration
from prequal.postgres.connections import connected
from prequal.record.acts import operator
from tests.console.conftest import Prequal
from tests.support.sign_in_issuer import SETTINGS, SUBJECT, SignInIssuer

Opens = list[str]


@pytest.fixture(scope="module")
def running() -> Iterator[SignInIssuer]:
    with SignInIssuer.running() as issuer:
        issuer.knows_the_console_at("http://localhost:8004/sign-in/callback")
        yield issuer


@pytest.fixture
def issuer(running: SignInIssuer) -> Iterator[SignInIssuer]:
    """The issuer, at which the auditor is signed in."""
    yield running
    running.subject = SUBJECT


@pytest.fixture
def settings(database: Database, issuer: SignInIssuer) -> ConsoleSettings:
    given = SETTINGS | {
        "oidc_issuer": issuer.url,
        "oidc_redirect_uri": "http://localhost:8004/sign-in/callback",
        "console_passwords": False,
    }
    url = url_of_service(database.url, "console")
    return load(ConsoleSettings, database_url=url, kafka_bootstrap_servers="127.0.0.1:1", **given)


@pytest.fixture
def console_url(address: str, people: None, database: Database, issuer: SignInIssuer) -> str:
    """A console that the issuer has described itself to, and whose auditor it vouches for."""

    async def tie() -> None:
        async with connected(database.url, "test") as connection:
            identity = Identity.of(issuer.url, SUBJECT)
            await administration.set_identity(connection, operator(), PersonRole.AUDITOR, identity)

    asyncio.run(tie())
    begin = f"{address}/api/v1/session/issuer/attempts"
    eventually(lambda: httpx.post(begin, json={"port": 40001}, trust_env=False).status_code == 201, within=30)
    return address


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Opens:
    """The addresses that were opened in a browser, which follows where it is led."""
    found: Opens = []

    def open_(address: str) -> bool:
        found.append(address)
        return httpx.get(address, follow_redirects=True, trust_env=False).is_success

    monkeypatch.setattr(webbrowser, "open", open_)
    return found


def test_command_line_works_as_whom_the_issuer_vouches_for(
    prequal: Prequal, console_url: str, opened: Opens, database: Database
) -> None:
    signed = prequal("login", console_url, "--browser", "--json")
    prequal("review", "list")
    prequal("logout")

    assert (signed["person"], signed["roles"]) == ("auditor", ["auditor"])
    back = urlsplit(parse_qs(urlsplit(opened[0]).query)["redirect_uri"][0])
    assert (back.hostname, back.path) == ("127.0.0.1", "/callback")
    act = database.row("SELECT actor_kind, actor, details ? 'issuer' AS by_issuer FROM acts WHERE action = 'signed_in'")
    assert act == {"actor_kind": "person", "actor": "auditor", "by_issuer": True}
    assert database.count("people_sessions") == 0


def test_person_whom_the_issuer_refuses_is_not_signed_in(
    prequal: Prequal, console_url: str, opened: Opens, issuer: SignInIssuer, database: Database
) -> None:
    issuer.subject = None

    with pytest.raises(Refused, match="has not let you in"):
        prequal("login", console_url, "--browser")

    assert (signed_in.file().exists(), database.count("people_sessions")) == (False, 0)


def test_what_a_stranger_sends_to_the_port_does_not_end_the_wait(
    prequal: Prequal, console_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    strangers: list[int] = []

    def open_(address: str) -> bool:
        port = parse_qs(urlsplit(address).query)["redirect_uri"][0].removesuffix("/callback")
        paths = ("/", "/callback", "/callback?code=x&state=y", "/callback?code=x&state=", "/other?state=y")
        strangers.extend(httpx.get(port + path, trust_env=False).status_code for path in paths)
        return httpx.get(address, follow_redirects=True, trust_env=False).is_success

    monkeypatch.setattr(webbrowser, "open", open_)

    signed = prequal("login", console_url, "--browser", "--json")

    assert strangers == [404] * 5
    assert signed["person"] == "auditor"


def test_nobody_who_signs_in_is_waited_for_ten_minutes_at_most(
    prequal: Prequal, console_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webbrowser, "open", lambda _: False)
    monkeypatch.setattr(browser_login, "SECONDS", 0.05)

    with pytest.raises(Refused, match="Nobody signed in"):
        prequal("login", console_url, "--browser")


def test_browser_that_goes_away_before_its_page_has_come_ends_the_wait(
    prequal: Prequal, console_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(_: BaseHTTPRequestHandler) -> None:
        raise BrokenPipeError

    def open_(address: str) -> bool:
        with pytest.raises(httpx.RemoteProtocolError):
            httpx.get(address, follow_redirects=True, trust_env=False)
        return True

    monkeypatch.setattr(browser_login._Handler, "end_headers", gone)
    monkeypatch.setattr(webbrowser, "open", open_)
    monkeypatch.setattr(browser_login, "SECONDS", 5)

    assert prequal("login", console_url, "--browser", "--json")["person"] == "auditor"


def test_port_that_is_taken_is_said(prequal: Prequal, console_url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(UsageError, match="cannot be used"):
        prequal("login", console_url, "--browser", "--port", str(taken.getsockname()[1]))


def test_who_is_asked_for_a_password_in_vain_learns_of_the_browser(prequal: Prequal, console_url: str) -> None:
    with pytest.raises(Refused, match="prequal login --browser"):
        prequal("login", console_url, "--name", "auditor")
