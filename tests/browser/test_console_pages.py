"""Every page of the console in light and dark, on a desk and on a telephone, with and without JavaScript."""

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Opened
from tests.browser.looks import DESK, OF_LOOKS, TELEPHONE, hindrances, shoot
from tests.browser.people import Console

PAGES = {
    "sign-in": (None, "/sign-in"),
    "overview": ("auditor", "/?hours=24"),
    "applications": ("auditor", "/applications"),
    "application": ("auditor", "/applications/{application}"),
    "review": ("reviewer", "/review"),
    "case": ("reviewer", "/review/{claimed_case}"),
    "policy": ("risk_officer", "/policy"),
    "policy-version": ("approver", "/policy/v2"),
    "flips": ("risk_officer", "/policy/v2/flips"),
    "dead-letters": ("operator", "/dead-letters"),
    "dead-letter": ("operator", "/dead-letters/{dead_letter}"),
    "record": ("auditor", "/record"),
    "system": ("operator", "/system"),
    "clients": ("administrator", "/clients"),
    "people": ("administrator", "/people"),
}
"""Each page, as the role that sees most of it."""
OVERLONG_LABELS = """[...document.querySelectorAll("td[data-label]")].filter(cell => cell.offsetHeight
  && parseFloat(getComputedStyle(cell, "::before").height) > cell.clientHeight).map(cell => cell.dataset.label)"""
"""The names of columns that reach into the next row of a card."""
SMALLEST_OF_PLOTS = """Math.min(99, ...[...document.querySelectorAll(".plot text")].map(text =>
  parseFloat(getComputedStyle(text).fontSize) * text.getScreenCTM().a))"""
LEGIBLE_PX = 11
"""So high is the text of a plot at the least."""


@pytest.mark.parametrize("name", PAGES)
def test_page_keeps_nobody_out_and_fits_every_screen(console: Console, opened: Opened, name: str) -> None:
    person, path = PAGES[name]
    page = opened(person, viewport=DESK)
    page.goto(path.format_map(vars(console.filled)))

    shoot(page, f"{name}")
    found = hindrances(page)
    page.emulate_media(color_scheme="dark")
    shoot(page, f"{name}-dark")
    page.set_viewport_size(TELEPHONE)
    found += hindrances(page, OF_LOOKS)
    shoot(page, f"{name}-telephone")

    assert found == []
    assert page.evaluate(OVERLONG_LABELS) == []
    assert page.evaluate(SMALLEST_OF_PLOTS) >= LEGIBLE_PX
    assert page.evaluate("document.documentElement.scrollWidth") <= TELEPHONE["width"]


def test_pages_are_read_without_javascript(console: Console, opened: Opened) -> None:
    page = opened("auditor", java_script_enabled=False)

    for name, (_, path) in PAGES.items():
        page.goto(path.format_map(vars(console.filled)))
        expect(page.locator("h1"), name).to_be_visible()
        expect(page.locator("main dl, main table, main form").first, name).to_be_visible()
        expect(page.get_by_role("button", name="Pause"), name).to_be_hidden()
