"""The console in a browser: each role signs in and does its main act."""

from uuid import UUID

import pyotp
import pytest
from playwright.sync_api import Page, Response, expect

from harness import policies
from tests.browser import filled
from tests.browser.conftest import Opened
from tests.browser.looks import DESK, hindrances, shoot_both
from tests.browser.people import PATIENCE_MS, Console, give
from tests.support.reviews import LARGE

FOCUSED = """(() => { const at = document.activeElement, ring = getComputedStyle(at).outlineStyle !== "none";
  return [[...document.querySelectorAll("*")].indexOf(at), ring || at.type === "date" ? "" : at.outerHTML]; })()"""
"""The place in the page of what has the focus, and what it is if no ring shows that; of a date a part has it."""
CONTROLS = """[...document.querySelectorAll("*")].flatMap((each, place) => each.checkVisibility() && each.matches(
  "a[href], summary, button:enabled, input:enabled:not([type=hidden]), select:enabled, textarea:enabled, [tabindex='0']"
) ? [place] : [])"""
"""The places in the page of all that the keyboard is to reach."""
PARTS_OF_A_DATE = 4
"""So many presses of the key lead through one."""
VOTED = "Your decision is recorded; the case waits for a second person's."
WALKED = {"auditor": ("/applications", "/policy/v2", "/record"), "operator": ("/dead-letters", "/system")}


def test_reviewer_claims_a_case_writes_a_note_and_decides_it(console: Console, opened: Opened) -> None:
    case, page = filled.new_case(console.database), opened("reviewer")
    page.goto("/")

    page.get_by_role("link", name="Review").click()
    page.get_by_role("link", name=str(case)).click()
    page.get_by_role("button", name="Claim").click()
    page.get_by_label("Without a PAN").fill(f"Salary slips of three months are there. {'w' * 500}")
    page.get_by_role("button", name="Write the note").click()
    page.get_by_label("Documents show an income that is enough").check()
    page.get_by_role("button", name="Decide").click()

    expect(page.get_by_role("status")).to_have_text("The case is decided.")
    expect(page.get_by_text("PRE_APPROVED, INCOME_CONFIRMED").first).to_be_visible()
    expect(page.get_by_text("Salary slips of three months are there.")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert console.database.value("SELECT status FROM applications WHERE id = %s", case) == "PRE_APPROVED"


def test_two_reviewers_decide_a_case_after_a_second_look_and_one_above_the_amount(
    console: Console, opened: Opened
) -> None:
    looked, large = filled.new_case(console.database), filled.new_case(console.database, LARGE)
    console.filled.totp_secrets["meena"] = filled.reviewer(console.database, "meena")
    first, second = opened("reviewer"), opened("meena")

    claim(first, looked)
    first.get_by_label("Without a PAN").fill("Is this income regular?")
    first.get_by_role("button", name="Release the case with it, for a second look").click()
    expect(first.get_by_role("status")).to_have_text("The case is released; another reviewer decides it with you.")
    first.goto("/review")
    expect(first.locator(f"#case-{looked}")).to_contain_text("waits for a second person")
    claim(second, looked)
    expect(second.get_by_text("Is this income regular?")).to_be_visible()
    decide(second, "Documents show an income that is enough", VOTED)
    expect(second.get_by_text("you have voted; it waits for another reviewer")).to_be_visible()
    expect(second.get_by_role("button", name="Claim")).to_be_hidden()
    claim(first, looked)
    decide(first, "Documents show an income that is enough", "The case is decided.")

    first.goto("/review?by=amount")
    expect(first.locator(f"#case-{large}")).to_contain_text("open, for two people")
    claim(first, large)
    decide(first, "The income is not enough", VOTED)
    claim(second, large)
    decide(second, "The income is not enough", "The case is decided.")
    second.get_by_role("link", name="What was done").click()
    expect(second.get_by_text("voted REJECTED, INCOME_NOT_ENOUGH: a second person decides too")).to_be_visible()

    status = "SELECT status FROM applications WHERE id = %s"
    assert [console.database.value(status, case) for case in (looked, large)] == ["PRE_APPROVED", "REJECTED"]


def claim(page: Page, case: UUID) -> None:
    page.goto(f"/review/{case}")
    page.get_by_role("button", name="Claim").click()
    expect(page.get_by_role("status")).to_have_text("The case is claimed for you.")


def decide(page: Page, reason: str, said: str) -> None:
    page.get_by_label(reason).check()
    page.get_by_role("button", name="Decide").click()
    expect(page.get_by_role("status")).to_have_text(said)


def test_risk_officer_proposes_a_version_and_an_approver_approves_it(console: Console, opened: Opened) -> None:
    officer, approver = opened("risk_officer"), opened("approver")
    officer.goto("/policy")
    officer.get_by_label("The document, in TOML").fill(policies.policy_text("v3"))
    officer.get_by_role("button", name="Check and propose").click()
    expect(officer.get_by_role("heading", name="Policy v3")).to_be_visible()
    filled.backtested(console.database, "v3")

    approver.goto("/policy")
    approver.get_by_role("link", name="v3", exact=True).click()
    expect(approver.get_by_text("Of 1,240 decided applications 37 would have another status")).to_be_visible()
    approver.get_by_role("button", name="Approve this document on this backtest").click()

    expect(approver.get_by_role("status")).to_have_text("This version is approved on this backtest.")
    expect(approver.get_by_role("button", name="Approve this document on this backtest")).to_be_hidden()
    assert console.database.value("SELECT approved_by FROM policy_versions WHERE version = 'v3'") == "approver"


def test_operator_looks_at_a_dead_letter_and_discards_another(console: Console, opened: Opened) -> None:
    page = opened("operator")
    page.goto("/dead-letters")
    page.get_by_role("link", name=console.filled.dead_letter).click()
    expect(page.get_by_text("XXXXX1234F")).to_be_visible()
    page.go_back()

    page.get_by_label(f"Choose {console.filled.dead_letter[:-1]}1").check()
    page.get_by_role("button", name="Discard…").click()
    page.get_by_label("Why").fill("sent by a load test")
    page.get_by_role("button", name="Discard").click()

    expect(page.get_by_role("status")).to_have_text("The dead letters that were chosen are discarded.")
    assert console.database.value("SELECT resolved_by FROM resolved_dead_letters") == "operator"


def test_auditor_finds_an_application_and_the_look_at_it_in_the_record(console: Console, opened: Opened) -> None:
    application, page = str(console.filled.application), opened("auditor")
    page.goto("/applications")

    page.get_by_label("Id of the application or its request").fill(application)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name=f"Application {application}")).to_be_visible()
    page.get_by_role("link", name="Record").click()

    # Not the newest of the rows for certain: other tests look at the same application, and a minute is recorded once.
    looks = page.get_by_role("row", name="auditor").filter(has_text=application)
    expect(looks.filter(has_text="application viewed").first).to_be_visible()


def test_auditor_lists_the_accesses_to_an_application_and_verifies_the_record(console: Console, opened: Opened) -> None:
    page, application = opened("auditor", viewport=DESK), str(console.filled.application)
    page.goto(f"/applications/{application}")
    page.goto("/record")
    page.get_by_label("Application's id").fill(application)
    page.get_by_role("button", name="List its accesses").click()
    expect(page.get_by_role("cell", name="person auditor").first).to_be_visible()
    shoot_both(page, "accesses")
    found = hindrances(page)

    page.goto("/record")
    page.get_by_role("button", name="Verify the record").click()

    expect(page.get_by_text("are as they were chained.")).to_be_visible(timeout=PATIENCE_MS)
    shoot_both(page, "record-verified")
    assert found + hindrances(page) == []


def test_administrator_adds_a_person_who_signs_in_with_both_factors(console: Console, opened: Opened) -> None:
    page, asha = opened("administrator"), opened(None)
    page.goto("/people")
    page.get_by_label("Name: lower-case").fill("asha")
    page.get_by_role("group", name="Roles").last.get_by_label("auditor").check()
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_role("heading", name="asha may sign in")).to_be_visible()
    password = page.locator("dt:has-text('Password') + dd").inner_text()
    address = page.locator("dt:has-text('For the authenticator') + dd").inner_text()

    give(asha, "asha", password, str(pyotp.parse_uri(address).secret))

    expect(asha.get_by_text("asha", exact=True)).to_be_visible()
    assert console.database.value("SELECT roles FROM people WHERE name = 'asha'") == ["auditor"]


def test_administrator_revokes_a_client(console: Console, opened: Opened) -> None:
    page = opened("administrator")
    page.goto("/clients")

    row = page.get_by_role("row", name="Konkan Autos")
    row.get_by_text("Revoke", exact=True).click()
    row.get_by_role("button").click()

    expect(page.get_by_role("row", name="Konkan Autos")).to_contain_text("revoked")


@pytest.mark.parametrize("person", WALKED)
def test_keys_lead_past_the_navigation_and_to_every_control_in_its_order_with_a_ring_round_it(
    console: Console, opened: Opened, person: str
) -> None:
    page, missed = opened(person), dict[str, object]()
    for path in WALKED[person]:
        page.goto(path.format_map(vars(console.filled)))
        controls, places, ringless = page.evaluate(CONTROLS), list[int](), list[str]()

        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
        for _ in range(len(controls) + PARTS_OF_A_DATE):
            place, control = page.evaluate(FOCUSED)
            places += [place] if place not in places[-1:] else []
            ringless += [control] if control else []
            if place == controls[-1]:
                break
            page.keyboard.press("Tab")

        if places != controls or ringless:
            missed[path] = (controls, places, ringless)
    assert missed == {}


def test_first_page_is_within_150_kilobytes(opened: Opened) -> None:
    seen: list[Response] = []
    page = opened("auditor")
    page.on("response", lambda response: seen.append(response))

    page.goto("/", wait_until="load")

    sizes = [response.request.sizes() for response in seen if "/live/" not in response.url]
    assert len(sizes) >= 2
    assert sum(each["responseBodySize"] + each["responseHeadersSize"] for each in sizes) <= 150_000
