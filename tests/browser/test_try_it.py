"""Try it on a telephone: an application to the sandbox through all services, and its result in two languages."""

from pathlib import Path

from playwright.sync_api import Browser, expect

from harness.broker import Broker
from harness.database import Database
from harness.system import a_system
from prequal.domain.person import PersonRole
from prequal.local.kafka import Kafka
from tests.browser import filled
from tests.browser.looks import TELEPHONE, hindrances, shoot_both
from tests.browser.people import PATIENCE_MS, sign_in, watch
from tests.builders import a_key_text


def test_application_from_a_telephone_is_decided_before_the_eyes_of_the_applicant(
    browser: Browser, database: Database, kafka: Kafka, tmp_path: Path
) -> None:
    secrets = filled.people(database)
    Broker(kafka.bootstrap_servers).create()
    problems: list[str] = []
    with a_system(database.url, kafka.bootstrap_servers, tmp_path, SANDBOX="true") as system:
        console = system.further("console", "console", TRY_IT_API_URL=system.api.url, PEOPLE_KEY=a_key_text(21))
        console.launch()
        system.start("api", "credit", "publisher")
        console.wait_until_ready()
        signed_in = sign_in(browser, console.url, PersonRole.REVIEWER, secrets[PersonRole.REVIEWER])
        context = browser.new_context(base_url=console.url, storage_state=signed_in, viewport=TELEPHONE, is_mobile=True)
        page = context.new_page()
        watch(page, problems)

        page.goto("/try-it")
        shoot_both(page, "try-it")
        found = hindrances(page)
        page.get_by_label("Person, by the end of the PAN").select_option(label="XXXXX5678K, score 610")
        page.get_by_role("button", name="Apply").click()
        expect(page.get_by_role("heading", name="Being decided")).to_be_visible(timeout=PATIENCE_MS)
        page.evaluate("window.isTheSamePage = true")
        found += hindrances(page)
        system.start("decision")

        expect(page.get_by_role("heading", name="REJECTED")).to_be_visible(timeout=PATIENCE_MS)
        expect(page.get_by_text("The credit score of 610 is below the minimum of 650.")).to_be_visible()
        expect(page.get_by_role("heading", name="कारण")).to_be_visible()
        assert page.evaluate("window.isTheSamePage")
        shoot_both(page, "tried")
        found += hindrances(page)
        fits = page.evaluate("document.documentElement.scrollWidth") <= TELEPHONE["width"]
        context.close()
    assert (found, fits, problems) == ([], True, [])
