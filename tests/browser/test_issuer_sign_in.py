"""The way to the organisation's issuer and back, in a browser to which that is another site."""

from playwright.sync_api import expect

from tests.browser.conftest import Opened
from tests.browser.people import Console, at_localhost


def test_person_comes_back_signed_in_and_on_the_page_that_was_asked_for(console: Console, opened: Opened) -> None:
    page = opened(None)
    page.goto(f"{at_localhost(console.url)}/record")

    page.get_by_role("link", name="Sign in by 127.0.0.1").click()

    expect(page.get_by_role("heading", name="Record")).to_be_visible()
    expect(page.locator(".person")).to_contain_text("auditor")
