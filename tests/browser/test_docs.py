"""`/docs` and `/redoc` in a browser that reaches nothing but this API (Debian's package `chromium`)."""

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, Request, expect

from harness.database import Cluster
from harness.system import a_system
from prequal.local.kafka import Kafka
from tests.browser.people import PATIENCE_MS


@pytest.fixture(scope="module")
def url(cluster: Cluster, kafka: Kafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with (
        cluster.database() as database,
        a_system(database.url, kafka.bootstrap_servers, tmp_path_factory.mktemp("api")) as system,
    ):
        system.start("api")
        yield system.api.url


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page()
    yield page
    page.close()


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_page_shows_the_operations_and_asks_no_other_host(page: Page, url: str, path: str) -> None:
    asked: list[Request] = []
    page.on("request", lambda request: asked.append(request))
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))

    page.goto(url + path)

    expect(page.get_by_text("Read an application's status").first).to_be_visible(timeout=PATIENCE_MS)
    page.wait_for_load_state("networkidle")
    assert {urlsplit(request.url).hostname for request in asked if left_the_browser(request)} == {"127.0.0.1"}
    assert errors == []


def left_the_browser(request: Request) -> bool:
    """Whether it went to a host: neither held back by the page's own policy, nor of data in the page."""
    return request.failure != "csp" and request.url.startswith("http")


def test_request_can_be_tried_from_the_page(page: Page, url: str) -> None:
    page.goto(f"{url}/docs")
    page.locator("#operations-default-health .opblock-summary-control").click(timeout=PATIENCE_MS)
    page.get_by_role("button", name="Try it out").click()

    page.get_by_role("button", name="Execute").click()

    answer = page.locator(".live-responses-table td.response-col_status").last
    expect(answer).to_contain_text("200", timeout=PATIENCE_MS)
