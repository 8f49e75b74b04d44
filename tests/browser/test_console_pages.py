"""Every page of the console in light and dark, on a desk and on a telephone, with and without JavaScript."""

import base64
import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, ViewportSize, expect

from tests.browser.conftest import Opened
from tests.browser.people import Console

DESK, TELEPHONE = ViewportSize(width=1280, height=800), ViewportSize(width=390, height=844)
PAGES = {
    "sign-in": (None, "/sign-in"),
    "overview": ("auditor", "/?hours=24"),
    "applications": ("auditor", "/applications"),
    "application": ("auditor", "/applications/{application}"),
    "review": ("reviewer", "/review"),
    "case": ("reviewer", "/review/{claimed_case}"),
    "policy": ("risk_officer", "/policy"),
    "policy-version": ("approver", "/policy/v2"),
    "dead-letters": ("operator", "/dead-letters"),
    "dead-letter": ("operator", "/dead-letters/{dead_letter}"),
    "record": ("auditor", "/record"),
    "system": ("operator", "/system"),
    "clients": ("administrator", "/clients"),
    "people": ("administrator", "/people"),
}
"""Each page, as the role that sees most of it."""
OF_LOOKS = ("color-contrast", "link-in-text-block", "scrollable-region-focusable", "target-size")
"""The rules of axe that colours and the screen's width decide."""
SHOTS = os.environ.get("SCREENSHOTS")
"""The folder that `make screenshots` fills."""
SHOT_QUALITY = 55
SHOT_HEIGHT_MAX = 1400


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
    assert page.evaluate("document.documentElement.scrollWidth") <= TELEPHONE["width"]


def hindrances(page: Page, rules: Sequence[str] = ()) -> list[str]:
    """What axe calls serious or critical, by all of its rules or by these: the rule, and where."""
    options = {"resultTypes": ["violations"]} | ({"runOnly": list(rules)} if rules else {})
    violations = Axe().run(page, options=options).response["violations"]
    grave = [each for each in violations if each["impact"] in ("serious", "critical")]
    return [f"{each['id']}: {node['html'][:200]}" for each in grave for node in each["nodes"]]


def shoot(page: Page, name: str) -> None:
    """Write what the page looks like, if that is asked for."""
    if SHOTS is None:
        return
    width = page.evaluate("document.documentElement.clientWidth")
    height = min(page.evaluate("document.documentElement.scrollHeight"), SHOT_HEIGHT_MAX)
    clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
    asked = {"format": "webp", "quality": SHOT_QUALITY, "clip": clip, "captureBeyondViewport": True}
    taken = page.context.new_cdp_session(page).send("Page.captureScreenshot", asked)
    (Path(SHOTS) / f"{name}.webp").write_bytes(base64.b64decode(taken["data"]))


def test_pages_are_read_without_javascript(console: Console, opened: Opened) -> None:
    page = opened("auditor", java_script_enabled=False)

    for name, (_, path) in PAGES.items():
        page.goto(path.format_map(vars(console.filled)))
        expect(page.locator("h1"), name).to_be_visible()
        expect(page.locator("main dl, main table, main form").first, name).to_be_visible()
        expect(page.get_by_role("button", name="Pause"), name).to_be_hidden()
