"""The console's JSON API: who is let in, what each role may do, and the one shape of what is refused."""

import asyncio
import json
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import psycopg
import pyotp
import pytest
from structlog.testing import capture_logs

from harness.database import Database
from harness.policies import ASHA, COUNTS, RAVI, REPORT, approved, padded, policy_text
from harness.waiting import soon
from prequal.console import app
from prequal.console.api.app import PREFIX, document
from prequal.console.rights import Right, may
from prequal.console.visit import Console
from prequal.domain.person import PersonRole
from prequal.domain.policy.loading import load
from prequal.people import administration, second_factor
from prequal.people.administration import NewSecrets
from prequal.people.queries import FAILED_SIGN_INS_MAX
from prequal.policy_versions import challenges, life, shadows
from prequal.postgres.connections import connected
from prequal.record.acts import operator
from tests.console.conftest import PASSWORD, SECOND_FACTOR_KEYS, Browser
from tests.support.console import code_of
from tests.support.edge import hung_up
from tests.support.reviews import in_review
from tests.unit.domain.policy.documents import WITH_FOIR

Person = Callable[..., Any]
IDS = {
    "application_id": "0190b5a8-0000-7000-8000-000000000000",
    "version": "v1",
    "dead_letter": "loan_applications_submitted_dlq:0:17",
}
OPERATIONS = [
    (method.upper(), path, operation.get("x-roles"))
    for path, methods in document()["paths"].items()
    for method, operation in methods.items()
]
GUARDED = [each for each in OPERATIONS if each[2] is not None]


@pytest.mark.parametrize(
    ("method", "path", "status", "route"),
    [
        ("GET", f"/review/cases/{IDS['application_id']}", 404, "/review/cases/{application_id}"),
        ("GET", "/ABCDE1234F", 404, "other"),
        ("PUT", "/session", 405, "/session"),
        ("GET", "/session", 200, "/session"),
    ],
)
async def test_request_is_recorded_under_the_id_of_its_answer_with_its_route(
    person: Person, method: str, path: str, status: int, route: str
) -> None:
    client = await person(PersonRole.REVIEWER)

    with capture_logs() as lines:
        answer = await client.request(method, f"{PREFIX}{path}?after=ABCDE1234F")

    (recorded,) = [line for line in lines if line["event"] == "request"]
    assert (answer.status_code, recorded["status"], recorded["method"]) == (status, status, method)
    assert recorded["request_id"] == answer.headers["x-request-id"]
    assert recorded["route"] == (route if route == "other" else f"{PREFIX}{route}")
    assert "ABCDE" not in str(recorded)


async def test_request_without_a_token_is_recorded_and_one_whose_client_hangs_up_is_a_499(
    browser: Callable[[], Browser], console: Console
) -> None:
    with capture_logs() as lines:
        refused = await browser().client.get(f"{PREFIX}/session", headers={"X-Request-ID": "mine-1"})
        await hung_up(app.build(console, {}), f"{PREFIX}/session", "application/json")

    recorded = [(line["request_id"], line["status"], line["route"]) for line in lines if line["event"] == "request"]
    assert refused.status_code == 401
    assert recorded[0] == ("mine-1", 401, "other")
    assert [status for _, status, _ in recorded] == [401, 499]


async def test_sign_in_answers_a_token_that_says_who_one_is_until_sign_out(person: Person, database: Database) -> None:
    client = await person(PersonRole.REVIEWER)

    found = (await client.get(f"{PREFIX}/session")).json()
    ended = await client.delete(f"{PREFIX}/session")
    after = await client.get(f"{PREFIX}/session")

    assert (found["person"], found["roles"]) == ("reviewer", ["reviewer"])
    assert "decide_review" in found["rights"]
    assert "approve_policy" not in found["rights"]
    assert ended.status_code == 204
    assert code_of(after, 401) == "UNAUTHENTICATED"
    assert database.value("SELECT count(*) FROM acts WHERE action = 'signed_in' AND actor = 'reviewer'") == 1


async def test_second_factor_is_asked_for_and_taken_once(browser: Callable[[], Browser], database: Database) -> None:
    secret = second_factor.new_secret()
    async with connected(database.url, "test") as connection:
        new = NewSecrets(PASSWORD, secret, SECOND_FACTOR_KEYS)
        await administration.add(connection, operator(), "meena", [PersonRole.AUDITOR], new)
    code = pyotp.TOTP(secret).now()
    given = {"name": "meena", "password": PASSWORD}

    answers = [await browser().client.post(f"{PREFIX}/session", json=given | more) for more in ({}, {"code": code})]
    again = await browser().client.post(f"{PREFIX}/session", json=given | {"code": code})

    assert [answer.status_code for answer in answers] == [401, 201]
    assert code_of(again, 401) == "UNAUTHENTICATED"


async def test_five_failures_lock_the_name(browser: Callable[[], Browser], people: None) -> None:
    client = browser().client
    for _ in range(5):
        await client.post(f"{PREFIX}/session", json={"name": "auditor", "password": "another"})

    right = await client.post(f"{PREFIX}/session", json={"name": "auditor", "password": PASSWORD})

    assert code_of(right, 401) == "UNAUTHENTICATED"


@pytest.mark.parametrize(
    "ending",
    [
        "UPDATE people_sessions SET idle_until = now()",
        "UPDATE people_sessions SET expires_at = now()",
        "UPDATE people SET disabled_at = now()",
    ],
)
async def test_token_ends_with_its_session(ending: str, person: Person, database: Database) -> None:
    client = await person(PersonRole.AUDITOR)
    database.execute(ending)

    assert code_of(await client.get(f"{PREFIX}/session"), 401) == "UNAUTHENTICATED"


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer x", "Basic YTpi", "Bearer " + "x" * 4000])
async def test_nothing_is_read_without_a_living_token(
    header: str, browser: Callable[[], Browser], people: None
) -> None:
    client = browser().client
    headers = {"Authorization": header} if header else {}

    answer = await client.post(f"{PREFIX}/policy/versions", content=b"{" * 70_000, headers=headers)

    assert code_of(answer, 401) == "UNAUTHENTICATED"
    sent = ', error="invalid_token"' if header.startswith("Bearer ") else ""
    assert answer.headers["www-authenticate"] == f'Bearer realm="prequal console"{sent}'


async def test_cookie_of_a_browser_is_no_credential(signed_in: Callable[..., Any]) -> None:
    browser = await signed_in(PersonRole.AUDITOR)

    assert code_of(await browser.get(f"{PREFIX}/session"), 401) == "UNAUTHENTICATED"


async def test_two_tokens_are_none(person: Person) -> None:
    client = await person(PersonRole.AUDITOR)
    header = client.headers["authorization"]

    answer = await client.get(f"{PREFIX}/session", headers=[("Authorization", header), ("Authorization", header)])

    assert answer.status_code == 401


@pytest.mark.parametrize("role", PersonRole)
async def test_role_does_what_its_row_says_and_is_refused_the_rest(role: PersonRole, person: Person) -> None:
    client, wrong = await person(role), []

    for method, path, roles in GUARDED:
        if (method, path) == ("DELETE", "/session"):
            continue
        answer = await client.request(method, PREFIX + path.format(**IDS), json={})
        status = answer.status_code
        if status == 403:
            assert answer.headers["www-authenticate"].endswith('error="insufficient_scope"')
        if (status == 403) is (role in roles) or status == 500:
            wrong.append((method, path, status))

    assert wrong == []


def test_every_operation_but_the_sign_ins_names_its_roles() -> None:
    assert sorted(each[:2] for each in OPERATIONS if not each[2]) == [
        ("POST", "/session"),
        ("POST", "/session/issuer"),
        ("POST", "/session/issuer/attempts"),
    ]


@pytest.mark.parametrize(("path", "allowed"), [("policy/versions", "GET, POST"), ("session", "DELETE, GET, POST")])
async def test_method_that_a_path_does_not_take_is_answered_with_those_that_it_takes(
    path: str, allowed: str, person: Person
) -> None:
    answer = await (await person(PersonRole.REVIEWER)).put(f"{PREFIX}/{path}", json={})

    assert code_of(answer, 405) == "METHOD_NOT_ALLOWED"
    assert answer.headers["allow"] == allowed


async def test_where_there_is_no_issuer_nobody_signs_in_by_one(browser: Callable[[], Browser], people: None) -> None:
    client = browser().client

    begun = await client.post(f"{PREFIX}/session/issuer/attempts", json={"port": 40001})
    finished = await client.post(f"{PREFIX}/session/issuer", json={"attempt": "x.y", "state": "x", "code": "y"})

    assert [code_of(answer, 404) for answer in (begun, finished)] == ["NOT_FOUND"] * 2


async def test_document_is_served_to_signed_in_people_alone(person: Person, browser: Callable[[], Browser]) -> None:
    served = await (await person(PersonRole.OPERATOR)).get(f"{PREFIX}/openapi.json")

    assert served.json() == document()
    assert (await browser().client.get(f"{PREFIX}/openapi.json")).status_code == 401


async def test_body_that_does_not_fit_is_refused_in_the_one_shape(person: Person) -> None:
    client = await person(PersonRole.RISK_OFFICER)
    path, json_ = f"{PREFIX}/policy/versions", {"Content-Type": "application/json"}

    answers = {
        "MALFORMED_REQUEST": await client.post(path, content=b"{", headers=json_),
        "UNSUPPORTED_MEDIA_TYPE": await client.post(path, content=b"a=b"),
        "PAYLOAD_TOO_LARGE": await client.post(f"{PREFIX}/policy/shadow", content=b" " * 65_537, headers=json_),
        "VALIDATION_ERROR": await client.post(path, json={"document": 1, "of ABCDE1234F": 2}),
        "NOT_FOUND": await client.get(f"{PREFIX}/nothing"),
        "METHOD_NOT_ALLOWED": await client.put(path, json={}),
    }

    assert [code_of(answer, answer.status_code) for answer in answers.values()] == list(answers)
    assert [answer.status_code for answer in answers.values()] == [400, 415, 413, 422, 404, 405]
    assert "ABCDE" not in answers["VALIDATION_ERROR"].text


async def test_bodies_with_a_document_alone_may_have_more_than_64_kib(person: Person) -> None:
    client, found = await person(PersonRole.RISK_OFFICER), {}

    for path, methods in document()["paths"].items():
        for method in methods.keys() - {"get", "delete"}:
            answer = await client.request(
                method, PREFIX + path.format(**IDS), content=b" " * 65_537, headers={"Content-Type": "application/json"}
            )
            found[path] = answer.status_code != 413
            assert found[path] or answer.json()["message"] == "The body is over 64 KiB."

    taken = {path for path, is_taken in found.items() if is_taken}
    assert taken == {"/policy/versions", "/policy/check", "/policy/backtests"} == set(paths_with("document"))


def paths_with(field: str) -> list[str]:
    """The paths that take a body with this field."""
    schemas = document()["components"]["schemas"]
    bodies = {
        path: schemas[methods["post"]["requestBody"]["content"]["application/json"]["schema"]["$ref"].split("/")[-1]]
        for path, methods in document()["paths"].items()
        if "requestBody" in methods.get("post", {})
    }
    return [path for path, body in bodies.items() if field in body["properties"]]


@pytest.mark.parametrize("path", ["policy/versions", "policy/check", "policy/backtests"])
async def test_largest_document_is_taken_however_its_characters_are_escaped(path: str, person: Person) -> None:
    officer = await person(PersonRole.RISK_OFFICER)
    hindi, latin = (padded(policy_text(), 256 * 1024, letter) for letter in ("न", "x"))
    larger = padded(policy_text(), 256 * 1024 + 1)
    each_escaped = '{"document": "' + "".join(f"\\u{ord(letter):04x}" for letter in latin) + '"}'

    taken = [await posted(officer, path, body) for body in (json.dumps({"document": hindi}), each_escaped)]
    too_large = await posted(officer, path, json.dumps({"document": larger}))
    over_limit = await posted(officer, path, each_escaped.ljust(6 * 256 * 1024 + 64 * 1024 + 1))

    assert [answer.is_success for answer in taken] == [True, True]
    assert code_of(too_large, 422) == "VALIDATION_ERROR"
    assert too_large.json()["details"] == [{"field": "document", "issue": "The document is over 256 KiB."}]
    assert code_of(over_limit, 413) == "PAYLOAD_TOO_LARGE"
    assert over_limit.json()["message"] == "The body is over 1600 KiB."


async def posted(client: httpx.AsyncClient, path: str, body: str) -> httpx.Response:
    headers = {"Content-Type": "application/json"}
    return await client.post(f"{PREFIX}/{path}", content=body.encode(), headers=headers)


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"Content-Type": "application/json; charset=utf8", "Content-Encoding": "identity"}, "VALIDATION_ERROR"),
        ({"Content-Type": "application/json", "Content-Encoding": "gzip"}, "UNSUPPORTED_MEDIA_TYPE"),
        ({"Content-Type": "application/json; charset=utf-16"}, "UNSUPPORTED_MEDIA_TYPE"),
    ],
)
async def test_body_is_read_exactly_if_its_bytes_are_json_as_they_stand(
    person: Person, headers: dict[str, str], code: str
) -> None:
    client = await person(PersonRole.RISK_OFFICER)
    answer = await client.post(f"{PREFIX}/policy/versions", content=b"{}", headers=headers)

    assert code_of(answer, answer.status_code) == code


async def test_reviewer_claims_notes_and_decides_a_case(person: Person, database: Database) -> None:
    case, client = await in_review(database), await person(PersonRole.REVIEWER)
    path = f"{PREFIX}/review/cases/{case}"
    decision = {"outcome": "PRE_APPROVED", "reason": "INCOME_CONFIRMED"}

    listed = (await client.get(f"{PREFIX}/review/cases", params={"by": "amount"})).json()["cases"]
    unclaimed = await client.post(f"{path}/decision", json=decision)
    claimed = await client.post(f"{path}/claim", json={"minutes": 45})
    with_pan = await client.post(f"{path}/notes", json={"text": "His PAN is ABCPE1234F."})
    noted = await client.post(f"{path}/notes", json={"text": "Slips of three months are there."})
    decided = await client.post(f"{path}/decision", json=decision)
    again = await client.post(f"{path}/decision", json=decision)
    shown = (await client.get(path)).json()

    assert [each["application_id"] for each in listed] == [str(case)]
    assert (claimed.json()["claimed_by"], noted.status_code) == ("reviewer", 200)
    assert (decided.json()["outcome"], shown["status"]) == ("PRE_APPROVED", "PRE_APPROVED")
    assert [note["by"] for note in shown["notes"]] == ["reviewer"]
    assert code_of(with_pan, 422) == "VALIDATION_ERROR"
    assert "ABCPE" not in with_pan.text
    assert [code_of(answer, 409) for answer in (unclaimed, again)] == ["CONFLICT"] * 2
    acts = database.rows("SELECT actor_kind, actor, action FROM acts WHERE action LIKE 'review%%' ORDER BY id")
    assert [tuple(act.values()) for act in acts] == [
        ("person", "reviewer", "review_claimed"),
        ("person", "reviewer", "review_note_written"),
        ("person", "reviewer", "review_decided"),
    ]


@pytest.mark.parametrize("time", ["9999-12-31T23:59:59-05:00", "0001-01-01T00:00:00+05:30", "2999-12-01T00:00:00"])
async def test_time_that_is_none_in_utc_is_a_422(time: str, person: Person, database: Database) -> None:
    async with connected(database.url, "test") as connection, connection.transaction():
        await approved(connection)
    approver, operator = await person(PersonRole.APPROVER), await person(PersonRole.OPERATOR)

    activation = await approver.post(f"{PREFIX}/policy/versions/v2/activate", json={"effective_from": time})
    letters = await operator.get(f"{PREFIX}/dead-letters", params={"since": time})

    assert [code_of(each, 422) for each in (activation, letters)] == ["VALIDATION_ERROR"] * 2


async def proposed_and_backtested(officer: httpx.AsyncClient) -> tuple[httpx.Response, httpx.Response]:
    """The answers to a proposal of v2 and to its recorded backtest."""
    proposed = await officer.post(f"{PREFIX}/policy/versions", json={"document": policy_text()})
    return proposed, await officer.post(f"{PREFIX}/policy/backtests", json={"version": "v2", "record": True})


def hashes_of(proposed: httpx.Response, tested: httpx.Response) -> dict[str, str]:
    """What an approval names."""
    return {"hash": proposed.json()["hash"], "backtest": tested.json()["sha256"]}


async def approve(approver: httpx.AsyncClient, answers: tuple[httpx.Response, httpx.Response]) -> httpx.Response:
    """Approve what was proposed and backtested so."""
    return await approver.post(f"{PREFIX}/policy/versions/v2/approve", json=hashes_of(*answers))


async def test_version_goes_by_two_people_into_force_and_back(person: Person, database: Database) -> None:
    officer, approver = await person(PersonRole.RISK_OFFICER), await person(PersonRole.APPROVER)
    path = f"{PREFIX}/policy/versions/v2"

    proposed, tested = await proposed_and_backtested(officer)
    hashes = hashes_of(proposed, tested)
    other = await approver.post(f"{path}/approve", json=hashes | {"hash": "0" * 64})
    approved = await approve(approver, (proposed, tested))
    of_other = await approver.post(f"{path}/activate", json={"hash": "0" * 64})
    by_author = await officer.post(f"{path}/activate", json={})
    activated = await approver.post(f"{path}/activate", json={"hash": hashes["hash"]})
    in_force = (await officer.get(f"{PREFIX}/policy/in-force")).json()
    rolled_back = await officer.post(f"{path}/rollback", json={})

    assert (proposed.status_code, tested.json()["recorded"]) == (201, True)
    assert [code_of(each, 409) for each in (other, of_other, by_author)] == ["CONFLICT"] * 3
    said = "risk_officer is an author of v2: an approver or another risk officer must put it into force."
    assert by_author.json()["message"] == said
    assert f"its hash is {hashes['hash']}." in of_other.json()["message"]
    assert [approved.json()["state"], activated.json()["version"], rolled_back.json()["version"]] == [
        "approved",
        "v2",
        "v1",
    ]
    assert (in_force["version"], in_force["text"]) == ("v2", policy_text())
    acts = database.rows("SELECT actor, action FROM acts WHERE actor_kind = 'person' AND action LIKE 'policy%%'")
    assert sorted(tuple(act.values()) for act in acts) == [
        ("approver", "policy_activated"),
        ("approver", "policy_approved"),
        ("risk_officer", "policy_backtested"),
        ("risk_officer", "policy_proposed"),
        ("risk_officer", "policy_rolled_back"),
    ]


async def test_version_decides_from_a_time_of_tomorrow_in_india(person: Person, database: Database) -> None:
    approver, path = await person(PersonRole.APPROVER), f"{PREFIX}/policy/versions/v2"
    async with connected(database.url, "test") as connection, connection.transaction():
        await approved(connection)
    tomorrow = (datetime.now(ZoneInfo("Asia/Kolkata")) + timedelta(days=1)).replace(hour=12, minute=0)

    activated = await approver.post(f"{path}/activate", json={"effective_from": tomorrow.isoformat()})
    stored = (await approver.get(path)).json()
    in_force = (await approver.get(f"{PREFIX}/policy/in-force")).json()

    assert tomorrow.isoformat().endswith("+05:30")
    assert (activated.status_code, activated.json()["version"]) == (200, "v2")
    assert datetime.fromisoformat(activated.json()["effective_from"]) == tomorrow
    assert datetime.fromisoformat(stored["scheduled_for"]) == tomorrow
    assert (stored["state"], stored["current"], in_force["version"]) == ("approved", False, "v1")


async def test_version_that_was_edited_after_its_approval_is_not_activated(person: Person, database: Database) -> None:
    approver = await person(PersonRole.APPROVER)
    async with connected(database.url, "test") as connection, connection.transaction():
        await approved(connection)
        await life.propose(connection, ASHA, policy_text(minimum=701))

    refused = await approver.post(f"{PREFIX}/policy/versions/v2/activate", json={})

    assert code_of(refused, 409) == "CONFLICT"
    assert refused.json()["message"] == "v2 was edited after its approval: it needs another one."
    assert (await approver.get(f"{PREFIX}/policy/in-force")).json()["version"] == "v1"


async def test_version_on_another_backtest_than_the_approved_is_not_activated(
    person: Person, database: Database
) -> None:
    approver = await person(PersonRole.APPROVER)
    async with connected(database.url, "test") as connection, connection.transaction():
        await approved(connection)
        await life.record_backtest(connection, ASHA, load(policy_text()), bytes(32), COUNTS)

    refused = await approver.post(f"{PREFIX}/policy/versions/v2/activate", json={})

    assert code_of(refused, 409) == "CONFLICT"
    said = "v2 was approved on another backtest than the one it has: it needs another one."
    assert refused.json()["message"] == said
    assert (await approver.get(f"{PREFIX}/policy/in-force")).json()["version"] == "v1"


async def test_version_of_another_author_is_refused_with_who_that_is(person: Person, database: Database) -> None:
    officer, path = await person(PersonRole.RISK_OFFICER), f"{PREFIX}/policy/versions"
    async with connected(database.url, "test") as connection:
        await life.propose(connection, ASHA, policy_text())

    refused = await officer.post(path, json={"document": policy_text(minimum=710)})
    under_another = await officer.post(path, json={"document": policy_text("v3", 710)})
    again = await officer.post(path, json={"document": policy_text("v3", 720)})

    assert code_of(refused, 409) == "CONFLICT"
    assert "v2 was proposed by asha: give your document another version" in refused.json()["message"]
    assert [each.status_code for each in (under_another, again)] == [201, 201]
    assert database.value("SELECT document FROM policy_versions WHERE version = 'v2'") == policy_text()


async def test_versions_are_listed_in_pages_in_the_order_of_their_names(person: Person, database: Database) -> None:
    auditor, path = await person(PersonRole.AUDITOR), f"{PREFIX}/policy/versions"
    async with connected(database.url, "test") as connection:
        for version in ("v4", "v2", "v3"):
            await life.propose(connection, operator(), policy_text(version))

        first = await auditor.get(path, params={"limit": 2})
        await life.propose(connection, operator(), policy_text("v2", 710))  # an edit since it was shown
    second = await auditor.get(path, params={"limit": 2, "after": "v2"})
    third = await auditor.get(path, params={"limit": 2, "after": "v4"})
    bad = [await auditor.get(path, params=each) for each in ({"limit": 0}, {"limit": 501}, {"after": ""})]

    pages = [[each["version"] for each in page.json()["versions"]] for page in (first, second, third)]
    assert pages == [["v1", "v2"], ["v3", "v4"], []]
    assert [code_of(each, 422) for each in bad] == ["VALIDATION_ERROR"] * 3


async def test_backtest_that_runs_is_shown_with_its_progress(person: Person, database: Database) -> None:
    officer = await person(PersonRole.RISK_OFFICER)
    running = f"{PREFIX}/policy/backtests/running"

    async def is_shown() -> dict[str, Any] | None:
        shown: dict[str, Any] | None = (await officer.get(running)).json()["running"]
        return shown

    with psycopg.connect(database.url) as other:
        other.execute("LOCK TABLE applications")  # so that it reads none yet
        tested = asyncio.create_task(officer.post(f"{PREFIX}/policy/backtests", json={"document": policy_text()}))
        shown = await soon(is_shown)
    await tested

    assert (shown["version"], shown["by"], shown["applications_read"]) == ("v2", "risk_officer", 0)
    assert (await officer.get(running)).json() == {"running": None}


async def test_document_that_breaks_a_rule_is_refused_with_every_problem(person: Person) -> None:
    officer = await person(PersonRole.RISK_OFFICER)
    text = policy_text().replace("cibil_score <", "cibil_scor <")

    answer = await officer.post(f"{PREFIX}/policy/versions", json={"document": text})

    assert code_of(answer, 422) == "VALIDATION_ERROR"
    assert any(re.search(r"line \d+.*cibil_scor", detail["issue"]) for detail in answer.json()["details"])


async def test_document_is_checked_without_being_stored(person: Person, database: Database) -> None:
    officer, path = await person(PersonRole.RISK_OFFICER), f"{PREFIX}/policy/check"

    checked = await officer.post(path, json={"document": policy_text()})
    refused = await officer.post(path, json={"document": policy_text().replace("cibil_score <", "cibil_scor <")})

    policy = load(policy_text())
    summary = {"version": "v2", "hash": policy.hash, "title": policy.document.title}
    counted = {"rows": len(policy.document.rows), "tests": len(policy.document.tests), "warning": ""}
    assert (checked.status_code, checked.json()) == (200, summary | counted)
    warned = await officer.post(path, json={"document": WITH_FOIR})
    assert warned.json()["warning"].startswith("It reads stated_obligations_inr, which no application has")
    assert code_of(refused, 422) == "VALIDATION_ERROR"
    assert any(re.search(r"line \d+.*cibil_scor", detail["issue"]) for detail in refused.json()["details"])
    assert database.value("SELECT count(*) FROM policy_versions WHERE version = 'v2'") == 0


async def test_two_versions_are_compared_place_by_place(person: Person, database: Database) -> None:
    auditor, path = await person(PersonRole.AUDITOR), f"{PREFIX}/policy/diff"
    async with connected(database.url, "test") as connection:
        await life.propose(connection, ASHA, policy_text())

    found = (await auditor.get(path, params={"before": "v1", "after": "v2"})).json()
    same = (await auditor.get(path, params={"before": "v2", "after": "v2"})).json()
    unknown = [
        await auditor.get(path, params=each)
        for each in ({"before": "v1", "after": "v9"}, {"before": "v9", "after": "v1"})
    ]

    assert [found[side]["version"] for side in ("before", "after")] == ["v1", "v2"]
    assert found["after"]["hash"] == load(policy_text()).hash
    assert found["changes"][0] == {"place": "version", "before": "v1", "after": "v2"}
    assert {"place": "limits.minimum_cibil_score.score", "before": 650, "after": 700} in found["changes"]
    assert same["changes"] == []
    assert [code_of(each, 404) for each in unknown] == ["NOT_FOUND"] * 2
    assert code_of(await auditor.get(path, params={"before": "v1"}), 422) == "VALIDATION_ERROR"


@pytest.mark.parametrize("role", PersonRole)
async def test_document_is_checked_by_who_proposes_and_versions_are_compared_by_who_reads_them(
    role: PersonRole, person: Person
) -> None:
    client = await person(role)

    checked = await client.post(f"{PREFIX}/policy/check", json={"document": policy_text()})
    compared = await client.get(f"{PREFIX}/policy/diff", params={"before": "v1", "after": "v1"})

    assert checked.status_code == (200 if may([role], Right.PROPOSE_POLICY) else 403)
    assert compared.status_code == (200 if may([role], Right.POLICY) else 403)


async def test_risk_officer_lets_a_version_decide_as_the_shadow(person: Person) -> None:
    officer = await person(PersonRole.RISK_OFFICER)
    await officer.post(f"{PREFIX}/policy/versions", json={"document": policy_text()})

    path = f"{PREFIX}/policy/shadow"
    begun = await officer.post(path, json={"version": "v2"})
    both = await officer.post(path, json={"version": "v2", "ends": "v2"})
    of_other = await officer.post(path, json={"version": None, "ends": "v1"})
    ended = await officer.post(path, json={"version": None, "ends": "v2"})
    again = await officer.post(path, json={"version": None})

    assert (begun.json()["version"], ended.json()["version"]) == ("v2", None)
    assert code_of(both, 422) == "VALIDATION_ERROR"
    assert [code_of(each, 409) for each in (of_other, again)] == ["CONFLICT"] * 2


async def test_edit_of_the_shadow_and_putting_it_into_force_answer_that_they_ended_it(
    person: Person, database: Database
) -> None:
    officer, approver = await person(PersonRole.RISK_OFFICER), await person(PersonRole.APPROVER)
    path = f"{PREFIX}/policy"
    first = await officer.post(f"{path}/versions", json={"document": policy_text(minimum=690)})
    await officer.post(f"{path}/shadow", json={"version": "v2"})
    edited, tested = await proposed_and_backtested(officer)
    of_none = (await officer.get(f"{path}/shadow")).json()
    await officer.post(f"{path}/shadow", json={"version": "v2"})
    await approve(approver, (edited, tested))
    activated = await approver.post(f"{path}/versions/v2/activate", json={})

    answers = [each.json() for each in (first, edited, activated)]
    assert [each["ended_shadow"] for each in answers] == [False, True, True]
    assert (of_none["version"], (await officer.get(f"{path}/shadow")).json()["version"]) == (None, None)


async def test_approved_version_challenges_and_is_ended(person: Person, database: Database) -> None:
    officer, reviewer = await person(PersonRole.RISK_OFFICER), await person(PersonRole.REVIEWER)
    path, content = f"{PREFIX}/policy/challenge", {"version": "v2", "share_basis_points": 1000}
    async with connected(database.url, "test") as connection, connection.transaction():
        await approved(connection)

    by_reviewer = await reviewer.post(path, json=content)
    without_share = await officer.post(path, json={"version": "v2"})
    begun = await officer.post(path, json=content)
    shown = await reviewer.get(path)
    both = await officer.post(path, json=content | {"ends": "v2"})
    of_other = await officer.post(path, json={"version": None, "ends": "v1"})
    ended = await officer.post(path, json={"version": None, "ends": "v2"})
    again = await officer.post(path, json={"version": None})

    assert code_of(both, 422) == "VALIDATION_ERROR"
    assert [code_of(each, 409) for each in (of_other, again)] == ["CONFLICT"] * 2
    assert of_other.json()["message"] == "v1 does not challenge the one in force: v2 does."
    assert code_of(by_reviewer, 403) == "FORBIDDEN"
    assert without_share.status_code == 422
    assert begun.json() == shown.json()
    assert (begun.json()["share_basis_points"], begun.json()["begun_by"]) == (1000, "risk_officer")
    assert ended.json()["version"] is None


async def test_author_does_not_let_his_own_version_challenge(person: Person) -> None:
    officer, approver = await person(PersonRole.RISK_OFFICER), await person(PersonRole.APPROVER)
    path, content = f"{PREFIX}/policy/challenge", {"version": "v2", "share_basis_points": 1000}
    await approve(approver, await proposed_and_backtested(officer))

    by_author = await officer.post(path, json=content)
    begun = await approver.post(path, json=content)
    ended = await officer.post(path, json={"version": None})

    assert code_of(by_author, 409) == "CONFLICT"
    said = "risk_officer is an author of v2: an approver or another risk officer must let it challenge."
    assert by_author.json()["message"] == said
    assert [(each.status_code, each.json()["version"]) for each in (begun, ended)] == [(200, "v2"), (200, None)]


async def test_what_another_person_set_is_replaced_only_when_it_is_named(person: Person, database: Database) -> None:
    officer = await person(PersonRole.RISK_OFFICER)
    async with connected(database.url, "test") as connection, connection.transaction():
        for version in ("v2", "v3"):
            await approved(connection, policy_text(version))
        await shadows.begin(connection, RAVI, "v3")
        await challenges.begin(connection, RAVI, "v3", 1000)

    async def asked(path: str, content: dict[str, Any], place: str, other: str) -> list[httpx.Response]:
        named = [content, content | {"replaces": other}, content | {"replaces": place}]
        return [await officer.post(f"{PREFIX}/policy/{path}", json=each) for each in named]

    answers = [
        await asked("shadow", {"version": "v2"}, "v3", "v4"),
        await asked("challenge", {"version": "v2", "share_basis_points": 500}, "v3", "v4"),
        await asked("backtests", {"version": "v2", "record": True}, REPORT.hex(), "0" * 64),
    ]
    unfit = [
        await officer.post(f"{PREFIX}/policy/{path}", json=content)
        for path, content in (
            ("shadow", {"version": None, "replaces": "v2"}),
            ("challenge", {"version": None, "replaces": "v2"}),
            ("backtests", {"version": "v2", "replaces": REPORT.hex()}),
        )
    ]

    assert [code_of(each, 409) for three in answers for each in three[:2]] == ["CONFLICT"] * 6
    said = [three[0].json()["message"] for three in answers]
    assert [each.partition(" at ")[0] for each in said] == [
        "v3 is the shadow, set by ravi",
        "v3 decides 10 % of the applications, begun by ravi",
        "v2 has a backtest, recorded by asha",
    ]
    assert all("`replaces`" in each for each in said)
    assert [three[2].status_code for three in answers] == [200] * 3
    assert [code_of(each, 422) for each in unfit] == ["VALIDATION_ERROR"] * 3
    begun = database.rows(
        "SELECT version, begun_by FROM policy_shadows UNION ALL SELECT version, begun_by FROM policy_challenges"
    )
    assert sorted(tuple(each.values()) for each in begun) == [("v2", "risk_officer")] * 2 + [("v3", "ravi")] * 2


async def test_backtest_that_may_not_be_recorded_is_not_run(person: Person, database: Database) -> None:
    officer = await person(PersonRole.RISK_OFFICER)
    async with connected(database.url, "test") as connection:
        await approved(connection)

    with psycopg.connect(database.url) as other:
        other.execute("LOCK TABLE applications")  # so that one that is run does not end
        refused = await officer.post(f"{PREFIX}/policy/backtests", json={"version": "v2", "record": True})

    assert code_of(refused, 409) == "CONFLICT"


@pytest.mark.parametrize("text", ["a\\u0000b", "a\\ud800b"])
@pytest.mark.parametrize(
    ("role", "path", "body"),
    [
        (PersonRole.REVIEWER, "session", '{"name": "…", "password": "x"}'),
        (PersonRole.REVIEWER, "session", '{"name": "reviewer", "password": "x", "code": "…"}'),
        (PersonRole.REVIEWER, "session", '{"name": "reviewer", "password": "x", "…": 1}'),
        (PersonRole.REVIEWER, "session/issuer", '{"attempt": "…"}'),
        (PersonRole.REVIEWER, "session/issuer", '{"attempt": "a", "state": "…", "code": "…", "iss": "…"}'),
        (PersonRole.REVIEWER, f"review/cases/{IDS['application_id']}/notes", '{"text": "…"}'),
        (PersonRole.REVIEWER, f"review/cases/{IDS['application_id']}/second-look", '{"text": "…"}'),
        (
            PersonRole.REVIEWER,
            f"review/cases/{IDS['application_id']}/decision",
            '{"outcome": "REJECTED", "reason": "…"}',
        ),
        (PersonRole.RISK_OFFICER, "policy/versions", '{"document": "…"}'),
        (PersonRole.RISK_OFFICER, "policy/check", '{"document": "…"}'),
        (PersonRole.RISK_OFFICER, "policy/versions/v1/activate", '{"effective_from": "…"}'),
        (PersonRole.RISK_OFFICER, "policy/versions/v1/rollback", '{"to": "…"}'),
        (PersonRole.RISK_OFFICER, "policy/shadow", '{"version": "…"}'),
        (PersonRole.RISK_OFFICER, "policy/challenge", '{"version": "…", "share_basis_points": 1}'),
        (PersonRole.RISK_OFFICER, "policy/backtests", '{"version": "…"}'),
        (PersonRole.RISK_OFFICER, "policy/backtests", '{"document": "…"}'),
        (PersonRole.RISK_OFFICER, "policy/backtests", '{"version": "v1", "since": "…", "until": "…"}'),
        (PersonRole.APPROVER, "policy/versions/v1/approve", '{"hash": "…", "backtest": "…"}'),
        (PersonRole.OPERATOR, "dead-letters/replay", '{"ids": ["…"]}'),
        (PersonRole.OPERATOR, "dead-letters/discard", f'{{"ids": ["{IDS["dead_letter"]}"], "because": "…"}}'),
    ],
)
async def test_text_that_cannot_be_stored_is_a_422(
    role: PersonRole, path: str, body: str, text: str, person: Person
) -> None:
    headers = {"Content-Type": "application/json"}

    answer = await (await person(role)).post(f"{PREFIX}/{path}", content=body.replace("…", text), headers=headers)

    assert code_of(answer, 422) == "VALIDATION_ERROR"


async def test_password_that_is_no_text_is_a_refusal_as_any_other(browser: Callable[[], Browser], people: None) -> None:
    client, body = browser().client, b'{"name": "reviewer", "password": "\\ud800"}'

    for _ in range(FAILED_SIGN_INS_MAX):
        answer = await client.post(f"{PREFIX}/session", content=body, headers={"Content-Type": "application/json"})
        assert code_of(answer, 401) == "UNAUTHENTICATED"
    locked = await client.post(f"{PREFIX}/session", json={"name": "reviewer", "password": PASSWORD})

    assert code_of(locked, 401) == "UNAUTHENTICATED"


@pytest.mark.parametrize(
    "path",
    [
        "policy/versions/v9",
        "policy/versions/%00",
        "policy/versions?after=%00",
        "policy/diff?before=v1&after=%00",
        "review/cases?after=%00",
        f"review/cases/{IDS['application_id']}",
    ],
)
async def test_what_is_not_there_is_a_404(path: str, person: Person) -> None:
    assert code_of(await (await person(PersonRole.AUDITOR)).get(f"{PREFIX}/{path}"), 404) == "NOT_FOUND"
