"""Signing in by an issuer: who gets in, and every other answer of browser and issuer, which lets nobody in."""

import asyncio
import functools
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import httpx
import pytest
from structlog.testing import capture_logs

from harness.database import Database, url_of_service
from harness.waiting import soon
from prequal.console.cookies import form_token
from prequal.console.issuer_refusals import refusal_of
from prequal.console.visit import Console
from prequal.core import refused_attempts
from prequal.core.circuit_breaker import FAILURES_MAX, BreakerOpen
from prequal.core.settings import load
from prequal.core.settings.console import ConsoleSettings
from prequal.domain.person import PersonRole
from prequal.issuers import code_flow, discovery
from prequal.issuers import keys as issuer_keys
from prequal.issuers.identity import Identity
from prequal.people import administration, sign_in
from prequal.postgres.connections import ConnectionPool, PostgresAway, connected
from prequal.record.acts import operator
from prequal.telemetry import metrics
from tests.console.conftest import PASSWORD, Browser
from tests.support.issuer import a_signing_key
from tests.support.sign_in_issuer import CLIENT, SETTINGS, SUBJECT, SignInIssuer

pytestmark = pytest.mark.usefixtures("auditor_is_tied")

REDIRECT = "http://localhost:8004/sign-in/callback"
NOT_VOUCHED = "has not let you in, or its answer is not taken: please begin again."
ANOTHER_BROWSER = "was begun in another browser, or too long ago: please begin again."
AWAY = "does not answer as it should: try again in a moment."
UNKNOWN = "is nobody who may sign in here"

Browsers = Callable[[], Browser]
Forge = Callable[[SignInIssuer, dict[str, Any]], str]


@pytest.fixture(scope="module")
def running() -> Iterator[SignInIssuer]:
    with SignInIssuer.running() as issuer:
        issuer.knows_the_console_at(REDIRECT)
        yield issuer


@pytest.fixture
def issuer(running: SignInIssuer) -> Iterator[SignInIssuer]:
    """The issuer; what a test changes of it is undone."""
    before = list(running.keys)
    yield running
    running.subject, running.forged, running.is_away, running.keys, running.said = SUBJECT, None, False, before, {}


@pytest.fixture
def further() -> dict[str, Any]:
    """Further settings of the console."""
    return {}


@pytest.fixture
def settings(database: Database, issuer: SignInIssuer, further: dict[str, Any]) -> ConsoleSettings:
    url = url_of_service(database.url, "console")
    given = SETTINGS | {"oidc_issuer": issuer.url, "oidc_redirect_uri": REDIRECT} | further
    return load(ConsoleSettings, database_url=url, kafka_bootstrap_servers="127.0.0.1:1", **given)


@pytest.fixture
async def auditor_is_tied(
    console: Console, issuer: SignInIssuer, people: None, database: Database, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[None]:
    """The person at the issuer is the auditor here, and the console knows the issuer's keys."""
    monkeypatch.setattr(issuer_keys, "SPARED_SECONDS", 0.2)
    async with connected(database.url, "test") as connection:
        identity = Identity.of(issuer.url, SUBJECT)
        await administration.set_identity(connection, operator(), PersonRole.AUDITOR, identity)
    assert console.issuer_sign_in
    keys, stop = console.issuer_sign_in.flow.keys, asyncio.Event()
    task = asyncio.create_task(keys.run(stop))
    await soon(lambda: _true(keys.changes > 0))
    yield
    stop.set()
    await task


async def _true(found: bool) -> bool:
    return found


async def begun(browser: Browser, wanted: str = "") -> str:
    """Where the console sends a browser."""
    answer = await browser.get(f"/sign-in/issuer?next={wanted}")
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


async def led_back(address: str) -> str:
    """The path of the console that the issuer sends a browser back to."""
    async with httpx.AsyncClient(trust_env=False) as there:
        answer = await there.get(address)
    assert answer.status_code == 302, answer.text
    assert answer.headers["location"].startswith(REDIRECT)
    return f"/sign-in/callback?{urlsplit(answer.headers['location']).query}"


async def returned(browser: Browser, wanted: str = "") -> httpx.Response:
    """The console's answer to a browser that was at the issuer."""
    return await browser.get(await led_back(await begun(browser, wanted)))


def counted(outcome: str) -> float:
    return float(metrics.ISSUER_SIGN_INS.labels(outcome)._value.get())


async def assert_refused(
    browser: Browser, answer: httpx.Response, words: str, outcome: str, before: float, status: int = 401
) -> None:
    assert (answer.status_code, words in answer.text) == (status, True), answer.text
    assert counted(outcome) == before + 1
    assert "console_session" not in browser.client.cookies
    assert (await browser.get("/")).status_code == 303


# ── let in ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_person_of_the_issuer_signs_in_and_is_led_on_by_a_page(browser: Browsers, database: Database) -> None:
    asha, before = browser(), counted("done")

    answer = await returned(asha, "/record?before=7")
    page = await asha.get("/record")

    assert (answer.status_code, counted("done")) == (200, before + 1)
    assert '<meta http-equiv="refresh" content="0; url=/record?before=7">' in answer.text
    assert "<span>auditor</span>" in page.text
    act = database.row("SELECT actor, details FROM acts WHERE action = 'signed_in'")
    assert (act["actor"], list(act["details"])) == ("auditor", ["issuer"])


async def test_session_is_one_as_any_other(browser: Browsers, database: Database) -> None:
    asha = browser()

    (session,) = [each for each in await _cookies(asha) if each.startswith("console_session=")]

    assert all(word in session for word in ("; HttpOnly", "; SameSite=strict", "; Path=/"))
    assert database.value("SELECT expires_at > idle_until FROM people_sessions")
    database.execute("UPDATE people SET disabled_at = now() WHERE name = 'auditor'")
    assert (await asha.get("/")).status_code == 303


async def _cookies(browser: Browser) -> list[str]:
    return (await returned(browser)).headers.get_list("set-cookie")


async def test_issuer_is_asked_for_a_code_with_state_nonce_and_challenge(browser: Browsers) -> None:
    asha = browser()
    first, second = [parse_qs(urlsplit(await begun(asha)).query) for _ in range(2)]

    assert (first["response_type"], first["scope"], first["client_id"]) == (["code"], ["openid"], [CLIENT])
    assert (first["redirect_uri"], first["code_challenge_method"]) == ([REDIRECT], ["S256"])
    for name in ("state", "nonce", "code_challenge"):
        assert len(first[name][0]) == 43
        assert first[name] != second[name]
    assert len({first[name][0] for name in ("state", "nonce", "code_challenge")}) == 3


async def test_cookie_of_an_attempt_is_short_lived_for_no_script_and_taken_away_again(browser: Browsers) -> None:
    asha = browser()
    set_at_first = (await asha.get("/sign-in/issuer")).headers["set-cookie"]

    cookies = await _cookies(asha)

    assert set_at_first.startswith("console_attempt=")
    assert all(word in set_at_first for word in ("; HttpOnly", "; SameSite=lax", "; Max-Age=600", "; Path=/"))
    assert any(each.startswith('console_attempt="";') for each in cookies)


async def test_sign_in_offers_the_issuer_and_keeps_the_page_that_was_asked_for(
    browser: Browsers, issuer: SignInIssuer
) -> None:
    page = (await browser().get("/sign-in?next=/review%3Fby%3Damount")).text

    assert f'<a href="/sign-in/issuer?next=/review%3Fby%3Damount">Sign in by {urlsplit(issuer.url).netloc}</a>' in page
    assert 'name="password"' in page


async def test_sign_in_leads_on_to_no_other_host(browser: Browsers) -> None:
    for target in ("//evil.example", "https://evil.example/", "/%5Cevil.example", "javascript:1"):
        assert 'content="0; url=/"' in (await returned(browser(), target)).text


async def test_administrator_ties_a_person_to_a_subject_and_unties_one(
    browser: Browsers, issuer: SignInIssuer, database: Database
) -> None:
    administrator, asha, issuer.subject = browser(), browser(), "new"
    await administrator.sign_in("administrator")

    taken = await administrator.post("/people/reviewer/identity", "/people", subject=SUBJECT)
    tied = await administrator.post("/people/reviewer/identity", "/people", subject="new")
    stale = await administrator.post("/people/reviewer/identity", "/people", subject="newer")
    shown = f"{SUBJECT} of {issuer.url}"
    await administrator.post("/people/auditor/identity", "/people", shown=shown, subject="")
    await returned(asha)

    assert (taken.status_code, tied.status_code, stale.status_code) == (409, 303, 409)
    assert f"reviewer was shown with another subject at an issuer: now new of {issuer.url}." in stale.text
    assert f'name="shown" value="new of {issuer.url}"' in (await administrator.get("/people")).text
    assert "<span>reviewer</span>" in (await asha.get("/")).text
    assert f"also as <code>new</code> of {issuer.url}" in (await administrator.get("/people")).text
    acts = database.rows("SELECT actor, subject FROM acts WHERE action = 'person_identity_changed' ORDER BY id")
    assert [tuple(act.values()) for act in acts[1:]] == [("administrator", "reviewer"), ("administrator", "auditor")]


async def test_who_is_signed_in_is_not_sent_to_the_issuer_again(browser: Browsers) -> None:
    asha = browser()
    await returned(asha)

    assert await begun(asha, "/record") == "/record"


async def test_lock_of_a_password_does_not_keep_the_issuers_person_out(browser: Browsers, database: Database) -> None:
    database.execute("UPDATE people SET locked_until = now() + interval '1 hour' WHERE name = 'auditor'")

    assert (await returned(browser())).status_code == 200


# ── refused for what the browser brought ────────────────────────────────────────────────────────────────────────


async def test_answer_in_another_browser_is_refused(browser: Browsers) -> None:
    stranger, before = browser(), counted("another_browser")
    address = await led_back(await begun(browser()))

    without_cookie = await stranger.get(address)
    await begun(stranger)
    with_its_own = await stranger.get(address)

    assert without_cookie.status_code == 401
    await assert_refused(stranger, with_its_own, ANOTHER_BROWSER, "another_browser", before + 1)


async def test_cookie_that_was_changed_is_refused(browser: Browsers) -> None:
    asha, before = browser(), counted("another_browser")
    address = await led_back(await begun(asha))
    cookie = asha.client.cookies["console_attempt"]

    for number, changed in enumerate((f"A{cookie[1:]}", f"{cookie}A", ".", "")):
        asha.client.cookies.clear()
        asha.client.cookies.set("console_attempt", changed)
        await assert_refused(asha, await asha.get(address), ANOTHER_BROWSER, "another_browser", before + number)


async def test_attempt_that_took_too_long_is_refused(browser: Browsers, monkeypatch: pytest.MonkeyPatch) -> None:
    asha, before = browser(), counted("another_browser")
    monkeypatch.setattr(code_flow, "ATTEMPT_SECONDS", -1)

    await assert_refused(asha, await returned(asha), ANOTHER_BROWSER, "another_browser", before)


async def test_address_that_was_used_already_is_refused(browser: Browsers) -> None:
    asha, before = browser(), counted("another_browser")
    address = await led_back(await begun(asha))
    await asha.get(address)
    asha.client.cookies.delete("console_session")

    await assert_refused(asha, await asha.get(address), ANOTHER_BROWSER, "another_browser", before)


# ── refused for what the issuer says ────────────────────────────────────────────────────────────────────────────


async def test_code_that_was_used_already_is_refused_by_the_issuer(browser: Browsers) -> None:
    asha, before = browser(), counted("not_vouched")
    address = await led_back(await begun(asha))
    attempt = asha.client.cookies["console_attempt"]
    await asha.get(address)
    asha.client.cookies.clear()
    asha.client.cookies.set("console_attempt", attempt)

    await assert_refused(asha, await asha.get(address), NOT_VOUCHED, "not_vouched", before)


async def test_person_whom_the_issuer_refuses_is_refused(browser: Browsers, issuer: SignInIssuer) -> None:
    asha, before = browser(), counted("not_vouched")
    issuer.subject = None

    await assert_refused(asha, await returned(asha), NOT_VOUCHED, "not_vouched", before)


async def test_answer_of_another_issuer_is_refused(browser: Browsers) -> None:
    asha, before = browser(), counted("not_vouched")
    address = await led_back(await begun(asha))

    answer = await asha.get(f"{address}&iss=https://other.example")

    await assert_refused(asha, answer, NOT_VOUCHED, "not_vouched", before)


NOW = int(time.time())
FORGED: dict[str, dict[str, Any]] = {
    "another audience": {"aud": "another"},
    "another audience beside ours": {"aud": [CLIENT, "another"]},
    "issued to another": {"aud": [CLIENT, "another"], "azp": "another"},
    "issued to another for us": {"azp": "another"},
    "another issuer": {"iss": "https://other.example"},
    "another nonce": {"nonce": "A" * 43},
    "no nonce": {"nonce": None},
    "a nonce that is a number": {"nonce": 1},
    "expired": {"iat": NOW - 7200, "exp": NOW - 3600},
    "not yet issued": {"iat": NOW + 3600, "exp": NOW + 7200},
    "no time of issue": {"iat": None},
}


async def test_token_with_the_right_claims_is_taken(browser: Browsers, issuer: SignInIssuer) -> None:
    issuer.forged = lambda said: issuer.signed(**said | {"aud": [CLIENT, "another"], "azp": CLIENT})

    assert (await returned(browser())).status_code == 200


SIGNED: dict[str, Forge] = {
    "no signature": lambda issuer, said: issuer.signed(header={"alg": "none"}, **said),
    "another key under the same id": lambda issuer, said: issuer.signed(a_signing_key("first"), **said),
    "an algorithm that is not on the list": lambda issuer, said: issuer.signed(header={"alg": "RS512"}, **said),
    "the public key as a shared secret": lambda issuer, _: issuer.signed_by_its_public_key(),
    "no token": lambda *_: "",
}


async def test_token_that_is_not_the_issuers_of_this_sign_in_is_refused(
    browser: Browsers, issuer: SignInIssuer, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refused_attempts, "ATTEMPTS_MAX", 1000)
    before, forged = counted("not_vouched"), [_with(issuer, claims) for claims in FORGED.values()]
    answers = {}

    for name, forge in zip([*FORGED, *SIGNED], [*forged, *SIGNED.values()], strict=True):
        issuer.forged = functools.partial(forge, issuer)
        answer = await returned(browser())
        answers[name] = (
            answer.status_code,
            NOT_VOUCHED in answer.text,
            "console_session" in answer.headers["set-cookie"],
        )

    assert answers == dict.fromkeys([*FORGED, *SIGNED], (401, True, False))
    assert counted("not_vouched") == before + len(answers)
    assert database.count("people_sessions") == 0


def _with(issuer: SignInIssuer, claims: dict[str, Any]) -> Forge:
    return lambda _, said: issuer.signed(**said | claims)


async def test_token_of_a_new_key_is_taken_once_the_key_was_fetched(browser: Browsers, issuer: SignInIssuer) -> None:
    issuer.rotate("second")

    async def signs_in() -> bool:
        return (await returned(browser())).status_code == 200

    await soon(signs_in)


# ── refused for whom the issuer names ───────────────────────────────────────────────────────────────────────────


async def test_subject_who_is_nobody_here_learns_what_an_administrator_needs(
    browser: Browsers, issuer: SignInIssuer
) -> None:
    asha, before, issuer.subject = browser(), counted("unknown_subject"), "auditor"

    answer = await returned(asha)

    await assert_refused(asha, answer, UNKNOWN, "unknown_subject", before)
    assert f"<code>auditor</code> of <code>{issuer.url}</code>" in answer.text


@pytest.mark.parametrize("subject", ["a\0b", "x" * 10_000])
async def test_subject_whom_nobody_can_be_tied_to_is_nobody(
    browser: Browsers, issuer: SignInIssuer, subject: str
) -> None:
    asha, before, issuer.subject = browser(), counted("unknown_subject"), subject

    await assert_refused(asha, await returned(asha), UNKNOWN, "unknown_subject", before)


async def test_disabled_person_learns_no_more_than_a_stranger(browser: Browsers, database: Database) -> None:
    asha, before = browser(), counted("unknown_subject")
    database.execute("UPDATE people SET disabled_at = now() WHERE name = 'auditor'")

    await assert_refused(asha, await returned(asha), UNKNOWN, "unknown_subject", before)


async def test_same_subject_of_another_issuer_is_nobody(browser: Browsers, database: Database) -> None:
    asha, before = browser(), counted("unknown_subject")
    database.execute("UPDATE people SET issuer = 'https://other.example' WHERE name = 'auditor'")

    await assert_refused(asha, await returned(asha), UNKNOWN, "unknown_subject", before)


# ── the issuer is away, or too many come ────────────────────────────────────────────────────────────────────────


async def test_issuer_that_is_away_is_said_and_passwords_are_taken_meanwhile(
    browser: Browsers, issuer: SignInIssuer
) -> None:
    asha, before = browser(), counted("away")
    address = await led_back(await begun(asha))
    issuer.is_away = True

    await assert_refused(asha, await asha.get(address), AWAY, "away", before, 503)
    assert (await asha.sign_in("auditor")).status_code == 303


async def test_issuer_that_is_left_alone_for_its_failures_is_said_and_not_a_store(
    browser: Browsers, issuer: SignInIssuer
) -> None:
    people = [browser() for _ in range(FAILURES_MAX + 1)]
    addresses = [await led_back(await begun(each)) for each in people]
    issuer.is_away = True

    for asha, address in zip(people, addresses, strict=True):
        before = counted("away")
        await assert_refused(asha, await asha.get(address), AWAY, "away", before, 503)


async def test_database_that_is_left_alone_for_its_failures_is_no_failure_of_the_issuer() -> None:
    async with ConnectionPool("postgresql://127.0.0.1:1/nowhere", "test", 1) as pool:
        for _ in range(FAILURES_MAX + 1):
            with pytest.raises(PostgresAway) as problem:
                async with pool.use("test"):
                    pass

    with capture_logs() as logs:
        refusal = refusal_of(problem.value)

    assert isinstance(problem.value, BreakerOpen)
    assert (refusal.status, refusal.words) == (503, "PostgreSQL does not answer.")
    assert [log["reason"] for log in logs] == [None]


async def test_no_more_are_at_the_issuer_at_once_than_have_room(browser: Browsers, console: Console) -> None:
    asha, before = browser(), counted("busy")
    address = await led_back(await begun(asha))
    assert console.issuer_sign_in
    turns = console.issuer_sign_in._turns
    for _ in range(sign_in.WAITING_MAX):
        await turns.acquire()

    await assert_refused(asha, await asha.get(address), "Too many people", "busy", before, 503)


async def test_address_that_was_refused_ten_times_in_a_minute_asks_the_issuer_nothing_more(
    browser: Browsers, issuer: SignInIssuer
) -> None:
    asha, before = browser(), counted("limited")
    address = await led_back(await begun(asha))
    codes = dict(issuer.codes)
    await _refuse(browser(), refused_attempts.ATTEMPTS_MAX)

    limited = await asha.get(address)
    by_password = await browser().sign_in("auditor")

    await assert_refused(asha, limited, "Too many sign-ins were refused", "limited", before, 429)
    assert 0 < int(limited.headers["retry-after"]) <= 61
    assert issuer.codes == codes  # what this one's code stands for was not asked
    assert by_password.status_code == 303


async def _refuse(stranger: Browser, times: int) -> None:
    """Have codes of a stranger refused that the issuer never made."""
    for _ in range(times):
        state = parse_qs(urlsplit(await begun(stranger)).query)["state"][0]
        assert (await stranger.get(f"/sign-in/callback?code=guessed&state={state}")).status_code == 401


async def test_what_belongs_to_no_attempt_locks_no_address_out(browser: Browsers) -> None:
    for _ in range(refused_attempts.ATTEMPTS_MAX + 1):
        assert (await browser().get("/sign-in/callback?code=guessed&state=guessed")).status_code == 401

    assert (await returned(browser())).status_code == 200


async def test_attempt_of_a_command_line_is_no_browsers_and_the_other_way_round(browser: Browsers) -> None:
    asha, client = browser(), browser().client
    begun_there = (await client.post("/api/v1/session/issuer/attempts", json={"port": 40001})).json()
    async with httpx.AsyncClient(trust_env=False) as there:
        back = urlsplit((await there.get(begun_there["address"])).headers["location"])
    asha.client.cookies.set("console_attempt", begun_there["attempt"])
    given = dict(parse_qsl(back.query))

    at_console = await asha.get(f"/sign-in/callback?{back.query}")
    asha.client.cookies.clear()
    state = parse_qs(urlsplit(await begun(asha)).query)["state"][0]
    of_browser = {"attempt": asha.client.cookies["console_attempt"], "state": state, "code": given["code"]}
    at_api = await client.post("/api/v1/session/issuer", json=of_browser)
    right = await client.post("/api/v1/session/issuer", json={"attempt": begun_there["attempt"], **given})

    assert (back.scheme, back.netloc, back.path) == ("http", "127.0.0.1:40001", "/callback")
    assert (at_console.status_code, ANOTHER_BROWSER in at_console.text) == (401, True)
    assert (at_api.status_code, at_api.json()["error_code"]) == (401, "UNAUTHENTICATED")
    assert (right.status_code, right.json()["person"], right.json()["roles"]) == (201, "auditor", ["auditor"])


async def test_refusals_of_the_json_api_are_counted_by_address_too(browser: Browsers) -> None:
    client, before = browser().client, counted("limited")
    for status in [401] * refused_attempts.ATTEMPTS_MAX + [429]:
        begun_there = (await client.post("/api/v1/session/issuer/attempts", json={"port": 40001})).json()
        state = parse_qs(urlsplit(begun_there["address"]).query)["state"][0]
        given = {"attempt": begun_there["attempt"], "state": state, "code": "guessed"}
        answer = await client.post("/api/v1/session/issuer", json=given)
        assert answer.status_code == status, answer.text

    assert (answer.json()["error_code"], "retry-after" in answer.headers) == ("RATE_LIMITED", True)
    assert counted("limited") == before + 1


async def test_issuer_that_has_not_described_itself_is_said(browser: Browsers, console: Console) -> None:
    assert console.issuer_sign_in
    console.issuer_sign_in.flow.keys.described = None

    answer = await browser().get("/sign-in/issuer")
    at_api = await browser().client.post("/api/v1/session/issuer/attempts", json={"port": 40001})

    assert (answer.status_code, AWAY in answer.text) == (503, True)
    assert (at_api.status_code, at_api.json()["error_code"]) == (503, "SERVICE_UNAVAILABLE")


async def test_description_that_is_not_safe_is_not_taken(issuer: SignInIssuer) -> None:
    unsafe = (
        {"authorization_endpoint": None},
        {"token_endpoint": "http://10.0.0.1/token"},
        {"issuer": "https://a.example"},
    )
    async with discovery.a_client() as http:
        for issuer.said in unsafe:
            with pytest.raises(discovery.IssuerAway):
                await discovery.discover(http, issuer.url, discovery.SignInMetadata)


# ── settings ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("further", [{"oidc_required_acr": "two factors"}])
async def test_sign_in_that_is_not_good_enough_for_the_setting_is_refused(
    browser: Browsers, issuer: SignInIssuer, further: dict[str, Any]
) -> None:
    asha, before = browser(), counted("not_vouched")

    asked = parse_qs(urlsplit(await begun(asha)).query)["acr_values"]
    refused = await returned(asha)
    issuer.forged = lambda said: issuer.signed(**said, acr="two factors")
    taken = await returned(browser())

    assert asked == ["two factors"]
    await assert_refused(asha, refused, NOT_VOUCHED, "not_vouched", before)
    assert taken.status_code == 200


@pytest.mark.parametrize("further", [{"console_passwords": False}])
async def test_where_passwords_are_off_the_issuer_alone_lets_in(browser: Browsers, further: dict[str, Any]) -> None:
    asha = browser()

    page = (await asha.get("/sign-in")).text
    form = {"csrf": form_token(asha.client.cookies["console_visitor"]), "name": "auditor", "password": PASSWORD}
    by_page = await asha.client.post("/sign-in", data=form)
    by_token = await asha.client.post("/api/v1/session", json={"name": "auditor", "password": PASSWORD})

    assert ('name="password"' in page, "Sign in by" in page) == (False, True)
    assert (by_page.status_code, "Passwords are not taken here" in by_page.text) == (401, True)
    assert (by_token.status_code, "Passwords are not taken here" in by_token.json()["message"]) == (401, True)
    assert (await returned(browser())).status_code == 200
