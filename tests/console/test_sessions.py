"""Signing in to the console and out of it, and what a browser without a session is shown."""

import asyncio
import re
from collections.abc import Callable
from typing import Any

import pytest
from starlette.responses import Response

from harness.database import Cluster, Database
from prequal.console.cookies import Cookies
from prequal.core import refused_attempts
from prequal.domain.person import PersonRole
from tests.console.conftest import PASSWORD, Browser, csrf
from tests.support.database_away import away

pytestmark = pytest.mark.usefixtures("people")


async def test_person_signs_in_and_sees_the_overview(browser: Callable[[], Browser]) -> None:
    asha = browser()

    answer = await asha.sign_in("auditor")
    page = await asha.get("/")

    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert page.status_code == 200
    assert "<h1>Overview</h1>" in page.text
    assert "<span>auditor</span>" in page.text


async def test_cookie_of_a_session_is_for_this_site_and_no_script(browser: Callable[[], Browser]) -> None:
    cookie = (await browser().sign_in("auditor")).headers.get_list("set-cookie")[0]

    assert cookie.startswith("console_session=")
    assert all(word in cookie for word in ("; HttpOnly", "; SameSite=strict", "; Path=/"))
    assert "Max-Age" not in cookie


def test_cookie_is_secure_and_bound_to_its_host_beyond_loopback() -> None:
    response = Response()
    cookies = Cookies(secure=True)
    cookies.set(response, cookies.session, "token")

    assert response.headers["set-cookie"].startswith("__Host-console_session=token; ")
    assert "; Secure" in response.headers["set-cookie"]


async def test_wrong_password_is_refused_with_what_was_typed_but_the_password(browser: Callable[[], Browser]) -> None:
    answer = await browser().sign_in("auditor", "wrong password")

    assert answer.status_code == 401
    assert 'value="auditor"' in answer.text
    assert "wrong password" not in answer.text


async def test_eleventh_refusal_of_an_address_in_a_minute_is_a_429_for_pages_and_programs(
    browser: Callable[[], Browser], people: None
) -> None:
    given = {"name": "nobody", "password": "guessed"}
    for _ in range(refused_attempts.ATTEMPTS_MAX // 2):
        assert (await browser().sign_in(**given)).status_code == 401
        assert (await browser().client.post("/api/v1/session", json=given)).status_code == 401

    page = await browser().sign_in("auditor")
    program = await browser().client.post("/api/v1/session", json={"name": "auditor", "password": PASSWORD})

    assert [each.status_code for each in (page, program)] == [429, 429]
    assert "Too many sign-ins were refused from this address" in page.text
    assert program.json()["error_code"] == "RATE_LIMITED"
    assert all(0 < int(each.headers["retry-after"]) <= 61 for each in (page, program))


async def test_name_of_a_stranger_is_shown_as_text(browser: Callable[[], Browser]) -> None:
    answer = await browser().sign_in('"><script>alert(1)</script>')

    assert "<script>" not in answer.text
    assert "&lt;script&gt;" in answer.text


async def test_sign_in_without_the_forms_token_is_refused(browser: Callable[[], Browser]) -> None:
    asha = browser()
    await asha.get("/sign-in")

    answer = await asha.client.post("/sign-in", data={"name": "auditor", "password": PASSWORD, "csrf": "0" * 64})

    assert answer.status_code == 403
    assert "console_session" not in asha.client.cookies


async def test_sign_in_gives_a_new_session_whatever_cookie_was_brought(browser: Callable[[], Browser]) -> None:
    asha = browser()
    asha.client.cookies.set("console_session", "of somebody else", domain="console.local")

    await asha.sign_in("auditor")

    assert asha.client.cookies["console_session"] != "of somebody else"


async def test_page_without_a_session_leads_to_the_sign_in(browser: Callable[[], Browser]) -> None:
    answer = await browser().get("/")

    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")


async def test_sign_in_leads_on_to_the_page_that_was_asked_for_and_to_no_other_host(
    browser: Callable[[], Browser], people: None
) -> None:
    asha, wanted = browser(), "/review?by=amount"
    asked = await asha.get(wanted)
    page = await asha.get(asked.headers["location"])

    arrived = []
    for target in (wanted, "//evil.example", "/\\evil.example", "https://evil.example/", ""):
        answer = await asha.post("/sign-in", "/sign-in", name="auditor", password=PASSWORD, next=target)
        arrived.append(answer.headers["location"])

    assert 'name="next" value="/review?by=amount"' in page.text
    assert arrived == [wanted, "/", "/", "/", "/"]


async def test_refusal_leads_back_to_the_page_that_it_was_asked_from(signed_in: Callable[..., Any]) -> None:
    auditor = await signed_in(PersonRole.AUDITOR)
    form = {"csrf": csrf(await auditor.get("/record")), "id": "nonsense"}

    pages = [
        (await auditor.client.post("/record/who", data=form, headers={"Referer": referer})).text
        for referer in ("http://console/record", "http://evil.example/record")
    ]

    assert ['<a href="/record">Back</a>' in page for page in pages] == [True, False]
    assert "<code>prequal audit who</code>" in pages[0]


async def test_sign_out_ends_the_session_in_the_database_too(
    browser: Callable[[], Browser], database: Database
) -> None:
    asha = browser()
    await asha.sign_in("auditor")

    await asha.post("/sign-out")

    assert await asyncio.to_thread(database.count, "people_sessions") == 0
    assert (await asha.get("/")).status_code == 303


async def test_disabled_person_is_out_at_the_next_page(browser: Callable[[], Browser], database: Database) -> None:
    asha = browser()
    await asha.sign_in("auditor")

    database.execute("UPDATE people SET disabled_at = now() WHERE name = 'auditor'")

    assert (await asha.get("/")).status_code == 303


async def test_session_that_nobody_uses_ends(browser: Callable[[], Browser], database: Database) -> None:
    asha = browser()
    await asha.sign_in("auditor")
    left = database.value("SELECT extract(epoch FROM idle_until - now()) FROM people_sessions")

    database.execute("UPDATE people_sessions SET idle_until = now()")

    assert 1700 < left <= 1800
    assert (await asha.get("/")).status_code == 303


async def test_every_answer_forbids_scripts_but_the_consoles_frames_and_caches(signed_in: Callable[..., Any]) -> None:
    asha = await signed_in(PersonRole.AUDITOR)

    for path in ("/", "/sign-in", "/nowhere"):
        headers = (await asha.get(path)).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "script-src 'self';" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["cache-control"] == "no-store"


async def test_page_that_is_not_there_is_a_page(browser: Callable[[], Browser]) -> None:
    assert (await browser().get("/nowhere")).status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/policy", "GET, HEAD, POST"),
        ("GET", "/sign-out", "POST"),
        ("POST", "/static/console.css", "GET, HEAD"),
    ],
)
async def test_method_that_a_page_does_not_take_is_answered_with_those_that_it_takes(
    method: str, path: str, allowed: str, browser: Callable[[], Browser]
) -> None:
    answer = await browser().client.request(method, path)

    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)


async def test_without_an_issuer_nothing_speaks_of_one(browser: Callable[[], Browser]) -> None:
    page = (await browser().get("/sign-in")).text

    assert "Sign in by" not in page
    assert (await browser().get("/sign-in/issuer")).status_code == 404
    assert (await browser().get("/sign-in/callback?code=a&state=b")).status_code == 404


async def test_style_sheet_comes_with_the_package(browser: Callable[[], Browser]) -> None:
    answer = await browser().get("/static/console.css")

    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/css; charset=utf-8")


async def test_form_that_is_too_large_or_none_is_refused(browser: Callable[[], Browser]) -> None:
    asha = browser()
    token = csrf(await asha.get("/sign-in"))

    assert (await asha.client.post("/sign-in", data={"csrf": token, "name": "a" * 70_000})).status_code == 400
    assert (await asha.client.post("/sign-in", json={"csrf": token})).status_code == 400


async def test_sign_out_without_the_forms_token_says_that_the_session_lives_on(browser: Callable[[], Browser]) -> None:
    asha = browser()
    await asha.sign_in("auditor")

    answer = await asha.client.post("/sign-out", data={"csrf": "0" * 64})

    assert (answer.status_code, "Still signed in" in answer.text) == (403, True)
    assert (await asha.get("/")).status_code == 200


async def test_sign_in_ends_the_session_that_the_browser_had(
    browser: Callable[[], Browser], database: Database
) -> None:
    asha = browser()
    await asha.sign_in("auditor")

    await asha.sign_in("operator")

    assert [row["person"] for row in database.rows("SELECT person FROM people_sessions")] == ["operator"]


async def test_page_names_the_style_sheet_by_its_content(browser: Callable[[], Browser]) -> None:
    address = re.search(r'href="(/static/console.css\?[0-9a-f]{12})"', (await browser().get("/sign-in")).text)

    assert address
    assert (await browser().get(address[1])).headers["cache-control"] == "max-age=3600"


async def test_form_without_a_session_is_sent_from_the_page_that_keeps_it(signed_in: Callable[..., Any]) -> None:
    asha = await signed_in(PersonRole.AUDITOR)
    form = {"csrf": csrf(await asha.get("/record")), "id": 'no "id"', "new_password": "a secret"}
    await asha.post("/sign-out")

    kept = await asha.client.post("/record/who?from=1", data=form)
    await asha.sign_in(PersonRole.AUDITOR)
    again = await asha.client.post("/record/who?from=1", data={"id": 'no "id"'})
    sent = await asha.client.post("/record/who?from=1", data={"id": 'no "id"', "csrf": csrf(again)})

    for page in (kept, again):
        assert 'action="/record/who?from=1"' in page.text
        assert "no &#34;id&#34;</textarea>" in page.text
        assert "a secret" not in page.text
    assert csrf(kept) == ""
    assert (kept.status_code, again.status_code, sent.status_code) == (401, 403, 409)


async def test_page_opened_while_postgresql_is_away_is_what_this_session_was_shown_last(
    browser: Callable[[], Browser], cluster: Cluster, database: Database
) -> None:
    auditor, other = browser(), browser()
    await auditor.sign_in("auditor")
    await other.sign_in("operator")
    before = await auditor.get("/system?done=yes")

    with away(cluster, database):
        again, unseen = await auditor.get("/system"), await auditor.get("/people")
        others, nobodys = await other.get("/system"), await browser().get("/system")
        await auditor.post("/sign-out", "/system")
        signed_out = await auditor.get("/system")
    after = await auditor.get("/system?done=CLAIMED")

    answers = (before, again, unseen, others, nobodys, signed_out, after)
    assert [each.status_code for each in answers] == [200, 503, 503, 503, 303, 503, 200]
    assert "This is what the page showed you at" in again.text
    assert before.text.partition('<main id="main">')[2] in again.text
    assert "data-heal" in again.text
    for each in (unseen, others, signed_out):
        assert "<h1>Out of reach</h1>" in each.text
    assert "This is what" not in after.text
    assert '<p class="notice" role="status">' not in before.text
    assert '<p class="notice" role="status">The case is claimed for you.</p>' in after.text
