"""People at a browser: how they sign in, and what goes wrong in their pages."""

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pyotp
from playwright.sync_api import Browser, ConsoleMessage, Page, expect

from harness.broker import Broker
from harness.database import Database
from tests.browser.filled import PASSWORD, Filled

PATIENCE_MS = 30_000.0


@dataclass
class Console:
    """The console that runs, what its database was filled with, and the cookies of those who have signed in."""

    url: str
    database: Database
    filled: Filled
    broker: Broker
    states: dict[str, Any] = field(default_factory=dict)


def sign_in(browser: Browser, url: str, person: str, totp_secret: str) -> Any:
    """Sign in by password and code; the cookies that a browser has from then on."""
    context = browser.new_context(base_url=url)
    give(context.new_page(), person, PASSWORD, totp_secret)
    state = context.storage_state()
    context.close()
    return state


def give(page: Page, person: str, password: str, totp_secret: str) -> None:
    """Fill in the form of the sign-in and send it; returns on the overview."""
    page.goto("/sign-in")
    page.get_by_label("Name", exact=True).fill(person)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_label("Code of your authenticator, if you have one").fill(pyotp.TOTP(totp_secret).now())
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Overview")).to_be_visible(timeout=PATIENCE_MS)


def watch(page: Page, problems: list[str], *statuses: int) -> None:
    """Collect what goes wrong in a page: errors and warnings but those of statuses, and requests to another host."""
    expected = tuple(f"with a status of {status} " for status in statuses)

    def said(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not any(words in message.text for words in expected):
            problems.append(f"{page.url}: {message.text}")

    page.on("console", said)
    page.on("pageerror", lambda error: problems.append(f"{page.url}: {error}"))
    page.on("request", lambda request: problems.append(request.url) if is_foreign(request.url) else None)


def is_foreign(url: str) -> bool:
    """Whether a request goes to another machine than this one."""
    return url.startswith("http") and urlsplit(url).hostname not in ("127.0.0.1", "localhost")


def at_localhost(url: str) -> str:
    """The same of the other name: to a browser another site than all that is at 127.0.0.1."""
    return url.replace("127.0.0.1", "localhost")
