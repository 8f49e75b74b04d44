"""How a page looks: what keeps people out of it, and pictures of it."""

import base64
import os
from collections.abc import Sequence
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, ViewportSize

DESK, TELEPHONE = ViewportSize(width=1280, height=800), ViewportSize(width=390, height=844)
OF_LOOKS = ("color-contrast", "link-in-text-block", "scrollable-region-focusable", "target-size")
"""The rules of axe that colours and the screen's width decide."""
SHOTS = os.environ.get("SCREENSHOTS")
"""The folder that `make screenshots` fills."""
SHOT_QUALITY = 55
SHOT_HEIGHT_MAX = 1400


def hindrances(page: Page, rules: Sequence[str] = ()) -> list[str]:
    """What axe calls serious or critical, by all of its rules or by these: the rule, and where."""
    options = {"resultTypes": ["violations"]} | ({"runOnly": list(rules)} if rules else {})
    violations = Axe().run(page, options=options).response["violations"]
    grave = [each for each in violations if each["impact"] in ("serious", "critical")]
    return [f"{each['id']}: {node['html'][:200]}" for each in grave for node in each["nodes"]]


def shoot_both(page: Page, name: str) -> None:
    """`shoot` it in light, and in dark."""
    shoot(page, name)
    page.emulate_media(color_scheme="dark")
    shoot(page, f"{name}-dark")
    page.emulate_media(color_scheme="light")


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
