"""Pages of the console that follow what happens, and sessions that end while somebody reads or writes."""

import time
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from harness.broker import SUBMITTED_DLQ, RawMessage
from harness.database import Cluster
from prequal.domain.person import PersonRole
from prequal.people import sessions
from prequal.postgres.connections import connected
from tests.browser import filled
from tests.browser.conftest import Opened
from tests.browser.people import PATIENCE_MS, Console
from tests.support.database_away import away
from tests.support.submissions import stored

HOSTILE = "<img src=x onerror=alert(1)>\u202e" + "W" * 255
COUNT_CHANGES = """
    window.changes = 0;
    new MutationObserver(() => window.changes++).observe(
        document.getElementById("applications_list"), {subtree: true, childList: true, characterData: true});
"""


def following(page: Page, path: str) -> None:
    """Open a page, and wait until its stream has come."""
    with page.expect_response(lambda response: "/live/" in response.url):
        page.goto(path)


def test_row_appears_within_two_seconds_and_a_flood_is_one_change_a_second(console: Console, opened: Opened) -> None:
    page = opened("auditor")
    following(page, "/applications")
    page.evaluate(COUNT_CHANGES)
    seconds, began = [], time.monotonic()

    for _ in range(3):
        newest = stored(console.database, 100)[-1]
        at = time.monotonic()
        page.get_by_role("link", name=str(newest.id)).wait_for(timeout=PATIENCE_MS)
        seconds.append(time.monotonic() - at)

    assert sorted(seconds)[1] <= 2
    assert page.evaluate("window.changes") <= time.monotonic() - began + 1


def test_paused_page_stays_as_it_is_until_it_goes_on(console: Console, opened: Opened) -> None:
    page = opened("auditor")
    following(page, "/applications")
    page.get_by_role("button", name="Pause").click()
    stopped = page.locator("[data-as-of]").inner_text()
    newest = stored(console.database)[0]
    link = page.get_by_role("link", name=str(newest.id))

    page.wait_for_timeout(1_500)
    was_there = link.count()
    page.get_by_role("button", name="Go on").click()
    link.wait_for(timeout=PATIENCE_MS)

    assert was_there == 0
    assert page.locator("[data-as-of]").inner_text() != stopped


def test_focus_stays_on_its_row_when_others_come(console: Console, opened: Opened) -> None:
    page, case = opened("reviewer"), str(console.filled.case)
    following(page, "/review?by=amount")
    page.get_by_role("link", name=case).focus()

    new = str(filled.new_case(console.database))
    page.get_by_role("link", name=new).wait_for(timeout=PATIENCE_MS)

    expect(page.get_by_role("link", name=case)).to_be_focused()


def test_page_says_that_the_database_is_away_and_recovers_by_itself(
    console: Console, opened: Opened, cluster: Cluster
) -> None:
    page, newly, seen = opened("auditor"), opened("auditor", 503), opened("auditor", 503)
    following(page, "/?hours=24")
    following(seen, "/review")
    problem = page.locator("#live-problem")

    with away(cluster, console.database):
        expect(problem).to_contain_text("PostgreSQL", timeout=PATIENCE_MS)
        expect(problem).to_contain_text("What is shown is")
        expect(page.get_by_text("applications without a decision")).to_be_visible()
        newly.goto("/people?after=nobody")  # which this session was never shown
        expect(newly.get_by_role("heading", name="Out of reach")).to_be_visible()
        seen.reload()
        expect(seen.get_by_role("alert")).to_contain_text("This is what the page showed you at")
        expect(seen.get_by_role("heading", name="Review")).to_be_visible()
        expect(seen.locator("#live-problem")).to_be_hidden()

    expect(problem).to_be_hidden(timeout=PATIENCE_MS)
    expect(newly.get_by_role("heading", name="People")).to_be_visible(timeout=PATIENCE_MS)
    expect(seen.get_by_text("This is what the page showed you at")).to_be_hidden(timeout=PATIENCE_MS)
    expect(seen.get_by_role("heading", name="Review")).to_be_visible()


def a_session(console: Console) -> dict[str, Any]:
    """The state of a browser in which a reviewer has a session that no other test uses."""
    token = sessions.new_token()

    async def begin() -> None:
        async with connected(console.database.url, "test") as connection:
            await sessions.begin(connection, PersonRole.REVIEWER, token, 600, 600)

    filled.at_once(begin())
    cookie = {"name": "console_session", "value": token, "domain": "127.0.0.1", "path": "/", "expires": -1}
    return {"cookies": [cookie | {"httpOnly": True, "secure": False, "sameSite": "Strict"}], "origins": []}


@pytest.fixture
def own_session(console: Console) -> dict[str, Any]:
    return a_session(console)


def end(console: Console, session: dict[str, Any]) -> None:
    """End a session, as an administrator's act does."""
    hashed = sessions.token_hash(session["cookies"][0]["value"])
    assert console.database.execute("DELETE FROM people_sessions WHERE token_hash = %s", hashed) == 1


def test_stream_ends_with_its_session(console: Console, opened: Opened, own_session: dict[str, Any]) -> None:
    page = opened(None, storage_state=own_session)
    following(page, "/review")

    end(console, own_session)

    expect(page.locator("#live-problem")).to_contain_text("Your session has ended", timeout=PATIENCE_MS)
    expect(page.get_by_role("button", name="Pause")).to_be_hidden()


def test_form_whose_session_ends_in_the_middle_of_it_is_sent_after_the_next_sign_in(
    console: Console, opened: Opened, own_session: dict[str, Any]
) -> None:
    page = opened(None, 401, 403, storage_state=own_session)
    page.goto(f"/review/{console.filled.case}")
    page.get_by_label("Without a PAN").fill("Three <b>slips</b>\nand a letter.")

    end(console, own_session)
    page.get_by_role("button", name="Write the note").click()

    expect(page.get_by_text("Your session has ended, and nothing was done.")).to_be_visible()
    expect(page.get_by_label("text", exact=True)).to_have_value("Three <b>slips</b>\nand a letter.")
    assert written(console) == 0
    page.context.add_cookies(a_session(console)["cookies"])  # as a sign-in in a page of its own sets them
    page.get_by_role("button", name="Go on").click()
    page.get_by_role("button", name="Send again").click()

    expect(page.get_by_role("heading", name="Not sent")).to_be_hidden()
    assert written(console) == 1


def written(console: Console) -> int:
    """How often the note of the test above was written."""
    return int(console.database.value("SELECT count(*) FROM review_notes WHERE note ~ '^Three <b>slips</b>\\s+and a'"))


def test_hostile_words_are_text_on_the_page_and_push_nothing_off_it(console: Console, opened: Opened) -> None:
    hostile: Any = [("dlq.error_kind", b"malformed_json"), ("dlq.error_message", HOSTILE.encode())]
    console.broker.publish(SUBMITTED_DLQ, [RawMessage(HOSTILE.encode(), HOSTILE.encode(), hostile, 1)])
    rename = "UPDATE api_clients SET name = %s WHERE name = %s"
    console.database.execute(rename, HOSTILE[:100], "Sahyadri Home Finance")
    page = opened("operator", viewport={"width": 390, "height": 844})

    for path in ("/clients", "/dead-letters", f"/dead-letters/{SUBMITTED_DLQ}:1:0"):
        page.goto(path)

        expect(page.get_by_text("<img src=x onerror=alert(1)>").first).to_be_visible()
        assert page.locator("main img").count() == 0
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
    console.database.execute(rename, "Sahyadri Home Finance", HOSTILE[:100])
