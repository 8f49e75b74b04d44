"""Who may call the API, what each may do, and that what is one client's is nobody else's."""

import asyncio
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from harness.applications import a_pan, an_application, an_idempotency_key
from harness.database import Database
from harness.tcp_proxy import a_proxy, port_of
from harness.waiting import eventually, soon
from prequal.api.known_clients import KnownClients
from prequal.api_clients import administration
from prequal.api_clients.administration import Validity
from prequal.domain.api_client import LOCAL
from prequal.local.kafka import Kafka
from prequal.record.acts import operator
from tests.support.api import api_within, assert_error, assert_unavailable, ready
from tests.support.api_clients import Guarded, a_client, bearer, rotated

HOLDS_WITHIN_SECONDS = 5.0
"""A revocation, and a new client, by the promise."""
STATUS = "/applications/01935f6e-7c1a-7b52-9e0b-3f6f2a9d1c44/status"
"""Of an application that is not there."""
DECISION = STATUS.replace("status", "decision")


# ── who is let in ───────────────────────────────────────────────────────────────────────────────────────────────


def test_client_with_its_token_posts_and_reads(guarded: Guarded) -> None:
    application_id = guarded.accepted(guarded.app.token)

    assert guarded.status(guarded.app.token, application_id).json()["status"] == "PENDING"


@pytest.mark.parametrize(("method", "path"), [("POST", "/applications"), ("GET", STATUS), ("GET", DECISION)])
def test_request_without_a_token_is_401(guarded: Guarded, method: str, path: str) -> None:
    response = guarded.ask(method, path)

    assert_error(response, 401, "UNAUTHENTICATED", path)
    assert response.headers["www-authenticate"] == 'Bearer realm="prequal"'


@pytest.mark.parametrize("path", [STATUS, DECISION])
def test_head_of_a_read_is_answered_as_its_get_without_a_body(guarded: Guarded, path: str) -> None:
    asked = [(), bearer(guarded.app.token).items()]
    heads = [guarded.ask("HEAD", path, *headers) for headers in asked]
    gets = [guarded.ask("GET", path, *headers) for headers in asked]

    assert [head.status_code for head in heads] == [get.status_code for get in gets] == [401, 404]
    assert [head.content for head in heads] == [b"", b""]
    assert "Exception in ASGI application" not in guarded.system.api.log.read_text()


WRONG: dict[str, Callable[[Guarded], list[str]]] = {
    "another secret": lambda api: [f"Bearer pq_{api.app.client.id}_{'x' * 43}"],
    "an unknown client": lambda _: [f"Bearer pq_bcdfghjk_{'x' * 43}"],
    "of another client": lambda api: [f"Bearer pq_{api.other.client.id}_{api.app.token.split('_', 2)[2]}"],
    "expired": lambda api: [f"Bearer {api.expired.token}"],
    "not yet": lambda api: [f"Bearer {api.early.token}"],
    "revoked": lambda api: [f"Bearer {api.revoked.token}"],
    "of another scheme": lambda api: [f"Basic {api.app.token}"],
    "no scheme": lambda api: [api.app.token],
    "empty": lambda _: [""],
    "no token": lambda _: ["Bearer"],
    "twice": lambda api: [f"Bearer {api.app.token}"] * 2,
    "twice in one": lambda api: [f"Bearer {api.app.token}, Bearer {api.app.token}"],
    "a good one behind a wrong one": lambda api: [f"Bearer pq_bcdfghjk_{'x' * 43}", f"Bearer {api.app.token}"],
    "oversized": lambda api: [f"Bearer {api.app.token}{'x' * 8000}"],
    "of a PAN": lambda _: ["Bearer ABCDE1234F"],
}


@pytest.mark.parametrize("which", WRONG)
def test_token_that_is_not_taken_is_401_in_the_same_words(guarded: Guarded, which: str) -> None:
    given = [("Authorization", value) for value in WRONG[which](guarded)]

    response = guarded.ask("POST", "/applications", *given, json=an_application())

    body = assert_error(response, 401, "UNAUTHENTICATED")
    assert body["message"] == "Send the token of a client: Authorization: Bearer pq_<id>_<secret>."
    assert response.headers["www-authenticate"] == 'Bearer realm="prequal", error="invalid_token"'
    assert "ABCDE1234F" not in response.text


def test_credentials_over_16_kib_are_a_head_that_is_too_large(guarded: Guarded) -> None:
    response = guarded.ask("GET", STATUS, ("Authorization", "Bearer " + "x" * 17_000))

    assert_error(response, 431, "HEADERS_TOO_LARGE", "")


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "Bearer "])
def test_scheme_is_taken_in_any_case(guarded: Guarded, scheme: str) -> None:
    response = guarded.ask("GET", STATUS, ("Authorization", f"{scheme} {guarded.app.token}"))

    assert_error(response, 404, "APPLICATION_NOT_FOUND", STATUS)


def test_client_that_only_reads_may_not_post_and_the_other_way_round(guarded: Guarded) -> None:
    posted = guarded.post(guarded.reader.token)
    read = guarded.ask("GET", STATUS, *bearer(guarded.writer.token).items())

    assert "applications:write" in assert_error(posted, 403, "FORBIDDEN")["message"]
    assert posted.headers["www-authenticate"].endswith('error="insufficient_scope", scope="applications:write"')
    assert "applications:read" in assert_error(read, 403, "FORBIDDEN", STATUS)["message"]


def test_sandbox_client_is_refused_where_there_is_no_sandbox(guarded: Guarded) -> None:
    assert_error(guarded.post(guarded.sandbox.token), 403, "FORBIDDEN")


@pytest.mark.parametrize("path", ["/health", "/ready"])
def test_probes_ask_for_no_token(guarded: Guarded, path: str) -> None:
    assert guarded.ask("GET", path).status_code == 200


# ── what is shown at which port ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "path",
    [
        *("/metrics", "/docs", "/redoc", "/openapi.json", "/docs/assets/swagger-ui.css"),
        *("/%6detrics", "/metrics%2f", "//metrics", "/metrics/", "/./metrics", "/docs%2Fassets%2Fswagger-ui.css"),
    ],
)
def test_metrics_and_pages_are_not_at_the_callers_port_in_any_spelling(guarded: Guarded, path: str) -> None:
    response = guarded.raw(path)

    assert (response.status_code, response.json()["error_code"]) == (404, "NOT_FOUND")


def test_callers_learn_of_readiness_its_status_alone(guarded: Guarded) -> None:
    shown, whole = guarded.ask("GET", "/ready"), guarded.admin.get("/ready")

    assert shown.json() == {"status": "ready"}
    assert shown.headers["cache-control"] == "no-store"
    assert {"status", "database", "kafka", "breakers"} == whole.json().keys()


@pytest.mark.parametrize("path", ["/health", "/metrics", "/docs", "/redoc", "/openapi.json"])
def test_metrics_and_pages_are_at_the_admin_port(guarded: Guarded, path: str) -> None:
    assert guarded.admin.get(path).status_code == 200


def test_no_application_is_taken_or_shown_at_the_admin_port(guarded: Guarded) -> None:
    token = bearer(guarded.app.token)

    assert httpx.post(f"{guarded.admin.url}/applications", headers=token, json=an_application()).status_code == 404
    assert httpx.get(f"{guarded.admin.url}{STATUS}", headers=token).status_code == 404


def test_refused_caller_leaves_no_row(guarded: Guarded) -> None:
    before = guarded.database.count("applications")

    for token in (guarded.reader.token, guarded.expired.token, "nonsense"):
        guarded.post(token)

    assert guarded.database.count("applications") == before


# ── in which order ──────────────────────────────────────────────────────────────────────────────────────────────


def test_path_and_method_are_checked_before_the_token(guarded: Guarded) -> None:
    assert guarded.ask("GET", "/nowhere").status_code == 404
    assert guarded.ask("DELETE", "/applications").status_code == 405


@pytest.mark.parametrize(
    ("headers", "content"),
    [
        ({"Content-Type": "application/json"}, b"x" * 17_000),
        ({"Content-Type": "text/plain"}, b"{}"),
        ({"Content-Type": "application/json"}, b"{"),
        ({"Content-Type": "application/json"}, b"{}"),
        ({"Content-Type": "application/json", "Idempotency-Key": "a b"}, b"{}"),
    ],
    ids=["size", "media type", "form", "fields", "key"],
)
def test_token_is_checked_before_everything_that_is_sent(
    guarded: Guarded, headers: dict[str, str], content: bytes
) -> None:
    response = guarded.ask("POST", "/applications", *headers.items(), content=content)

    assert_error(response, 401, "UNAUTHENTICATED")


def test_token_is_checked_before_the_applications_id(guarded: Guarded) -> None:
    assert guarded.ask("GET", "/applications/x/status").status_code == 401


def test_fields_are_checked_for_a_client_as_for_anybody(guarded: Guarded) -> None:
    assert_error(guarded.post(guarded.app.token, an_application(loan_type="BOAT")), 422, "INVALID_LOAN_TYPE")


# ── wrong tokens ────────────────────────────────────────────────────────────────────────────────────────────────


def test_eleventh_wrong_token_of_an_address_within_a_minute_is_429(guarded: Guarded) -> None:
    with guarded.from_an_address() as client:
        answers = [client.get(STATUS, headers=bearer("wrong")) for _ in range(11)]
        right = client.get(STATUS, headers=bearer(guarded.app.token))
        none = client.get(STATUS)

    assert [answer.status_code for answer in answers] == [401] * 10 + [429]
    assert_error(answers[-1], 429, "RATE_LIMITED", STATUS)
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 60
    assert (right.status_code, none.status_code) == (404, 401)


# ── how many ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_client_beyond_its_rate_is_429_until_retry_after_is_over(guarded: Guarded) -> None:
    with guarded.from_an_address() as client:
        answers = [client.get(STATUS, headers=bearer(guarded.slow.token)) for _ in range(10)]
        posted = client.post("/applications", content=b"", headers=bearer(guarded.slow.token))
        other = client.get(STATUS, headers=bearer(guarded.app.token))

    limited = [answer for answer in (*answers, posted) if answer.status_code == 429]
    assert len(limited) >= 1
    assert_error(limited[0], 429, "RATE_LIMITED", limited[0].url.path)
    assert limited[0].headers["retry-after"] == "1"
    assert limited[0].headers["ratelimit-policy"] == '"requests";q=1;w=1'
    assert limited[0].headers["ratelimit"] == '"requests";r=0;t=1'
    assert other.status_code == 404
    eventually(lambda: guarded.status(guarded.slow.token, str(uuid4())).status_code == 404)


def test_changed_rate_holds_within_5_seconds(guarded: Guarded) -> None:
    fresh = a_client(guarded.database, "one a second", rate=1)
    eventually(lambda: guarded.status(fresh.token, str(uuid4())).status_code == 404, HOLDS_WITHIN_SECONDS)

    administration.change_rate(guarded.database.url, operator(), "one a second", 1000)

    def is_let_through() -> bool:
        return {guarded.status(fresh.token, str(uuid4())).status_code for _ in range(20)} == {404}

    eventually(is_let_through, HOLDS_WITHIN_SECONDS)


# ── whose it is ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("what", ["status", "decision"])
def test_application_of_another_client_is_not_there(guarded: Guarded, what: str) -> None:
    application_id, nobodys = guarded.accepted(guarded.app.token), str(uuid4())

    own, others, none = (
        guarded.ask("GET", f"/applications/{each}/{what}", *bearer(token).items())
        for each, token in [
            (application_id, guarded.app.token),
            (application_id, guarded.other.token),
            (nobodys, guarded.other.token),
        ]
    )

    assert own.status_code == 200
    assert_error(others, 404, "APPLICATION_NOT_FOUND", f"/applications/{application_id}/{what}")
    assert others.json()["message"] == none.json()["message"]
    assert others.headers.keys() == none.headers.keys()


def test_pan_of_another_client_is_no_duplicate(guarded: Guarded) -> None:
    pan = a_pan()
    first = guarded.accepted(guarded.app.token, an_application(pan_number=pan))

    second = guarded.accepted(guarded.other.token, an_application(pan_number=pan))

    stored = guarded.database.rows(
        "SELECT id, client FROM applications WHERE pan_number_hash = (SELECT pan_number_hash FROM applications "
        "WHERE id = %s)",
        first,
    )
    assert {(str(row["id"]), row["client"]) for row in stored} == {
        (first, guarded.app.client.id),
        (second, guarded.other.client.id),
    }


def test_duplicate_names_the_clients_own_application_and_when(guarded: Guarded) -> None:
    pan = a_pan()
    guarded.accepted(guarded.other.token, an_application(pan_number=pan))
    accepted = guarded.post(guarded.app.token, an_application(pan_number=pan)).json()

    response = guarded.post(guarded.app.token, an_application(pan_number=pan), an_idempotency_key())

    assert assert_error(response, 409, "DUPLICATE_APPLICATION")["details"] == [
        {"field": "application_id", "issue": accepted["application_id"]},
        {"field": "created_at", "issue": accepted["created_at"]},
    ]


async def test_of_20_posts_of_one_pan_by_two_clients_each_has_one_accepted(guarded: Guarded) -> None:
    pan, tokens = a_pan(), [guarded.app.token, guarded.other.token] * 10
    async with httpx.AsyncClient(base_url=guarded.system.api.url, timeout=15, trust_env=False) as client:
        posts = [
            client.post("/applications", json=an_application(pan_number=pan), headers=bearer(token)) for token in tokens
        ]
        answers = await asyncio.gather(*posts)

    for token in set(tokens):
        own = [answer for answer, by in zip(answers, tokens, strict=True) if by == token]
        assert sorted(answer.status_code for answer in own) == [202] + [409] * 9
        (accepted,) = (answer.json()["application_id"] for answer in own if answer.status_code == 202)
        assert {each.json()["details"][0]["issue"] for each in own if each.status_code == 409} == {accepted}


def test_idempotency_key_is_a_clients_own(guarded: Guarded) -> None:
    key, body = an_idempotency_key(), an_application()
    first = guarded.accepted(guarded.app.token, body, key)

    others = guarded.accepted(guarded.other.token, body, key)
    again = guarded.accepted(guarded.app.token, body, key)

    assert (again == first, others == first) == (True, False)


def test_key_of_another_client_with_another_body_is_not_reused(guarded: Guarded) -> None:
    key = an_idempotency_key()
    guarded.accepted(guarded.app.token, an_application(), key)

    assert guarded.post(guarded.other.token, an_application(), key).status_code == 202


def test_record_of_the_write_names_the_client(guarded: Guarded) -> None:
    application_id = guarded.accepted(guarded.app.token)

    record = guarded.database.row("SELECT action, client FROM audit_log WHERE application_id = %s", application_id)
    assert record == {"action": "WRITE", "client": guarded.app.client.id}


def test_request_is_recorded_and_counted_by_its_client(guarded: Guarded) -> None:
    before = guarded.admin.metric("http_requests_by_client_total", f'client="{guarded.writer.client.id}"')
    posted: list[str] = []

    def recorded() -> set[Any]:
        posted.append(guarded.accepted(guarded.writer.token))
        time.sleep(0.2)  # of the requests of one second, with those of other tests, twenty have lines of their own
        lines = guarded.system.api.logged("request")
        return {line["client"] for line in lines if line["application_id"] in posted}

    assert eventually(recorded) == {guarded.writer.client.id}
    after = guarded.admin.metric("http_requests_by_client_total", f'client="{guarded.writer.client.id}"')
    assert after == before + len(posted)


def test_no_secret_is_in_a_log_or_a_metric(guarded: Guarded) -> None:
    guarded.post(guarded.app.token)
    guarded.post(guarded.expired.token)

    said = guarded.system.logs() + guarded.admin.get("/metrics").text
    for issued in (guarded.app, guarded.expired):
        assert issued.token.split("_", 2)[2] not in said


# ── what changes while it runs ──────────────────────────────────────────────────────────────────────────────────


def test_new_client_is_let_in_and_a_revoked_one_refused_within_5_seconds(guarded: Guarded) -> None:
    fresh = a_client(guarded.database, "fresh")
    eventually(lambda: guarded.status(fresh.token, str(uuid4())).status_code == 404, HOLDS_WITHIN_SECONDS)

    administration.revoke(guarded.database.url, operator(), "fresh", None)

    eventually(lambda: guarded.status(fresh.token, str(uuid4())).status_code == 401, HOLDS_WITHIN_SECONDS)


def test_secret_is_rotated_without_a_gap_and_the_old_one_ends(guarded: Guarded) -> None:
    first = a_client(guarded.database, "rotating")
    eventually(lambda: guarded.post(first.token).status_code == 202, HOLDS_WITHIN_SECONDS)

    second = rotated(guarded.database, "rotating")
    seen = []

    def is_known() -> bool:
        seen.append(guarded.post(first.token).status_code)
        return guarded.post(second.token).status_code == 202

    eventually(is_known, HOLDS_WITHIN_SECONDS)
    assert set(seen) == {202}
    administration.revoke(guarded.database.url, operator(), "rotating", first.slot)

    eventually(lambda: guarded.post(first.token).status_code == 401, HOLDS_WITHIN_SECONDS)
    assert guarded.post(second.token).status_code == 202
    assert guarded.status(second.token, guarded.accepted(second.token)).status_code == 200


def test_last_use_of_a_secret_is_written_once_a_minute_at_most(guarded: Guarded) -> None:
    used = "SELECT last_used_at FROM api_client_secrets WHERE client = %s"
    fresh = a_client(guarded.database, "is used twice")
    eventually(lambda: guarded.post(fresh.token).status_code == 202)
    first = eventually(lambda: guarded.database.value(used, fresh.client.id))

    guarded.accepted(fresh.token)
    marked = a_client(guarded.database, "marks the time")
    eventually(lambda: guarded.post(marked.token).status_code == 202)
    eventually(lambda: guarded.database.value(used, marked.client.id))

    assert guarded.database.value(used, fresh.client.id) == first
    assert guarded.database.value(used, guarded.expired.client.id) is None


async def test_clients_are_known_without_the_database_until_their_secret_expires(
    database: Database, kafka: Kafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    lasting = await asyncio.to_thread(a_client, database, "lasting")
    short = await asyncio.to_thread(a_client, database, "short", validity=Validity(expires=timedelta(hours=1)))
    with a_proxy(port_of(database.url)) as proxy:
        async with api_within(proxy.url(database.url), kafka.bootstrap_servers, api_authentication="keys") as client:
            await ready(client)

            async def status_of(token: str) -> int:
                return (await client.post("/applications", content=b"", headers=bearer(token))).status_code

            assert (await status_of(lasting.token), await status_of(short.token)) == (415, 415)

            proxy.cut()

            async def is_away() -> bool:
                return (await client.get(STATUS, headers=bearer(lasting.token))).status_code == 503

            await soon(is_away)

            now = KnownClients.now
            monkeypatch.setattr(KnownClients, "now", lambda self: now(self) + timedelta(hours=1).total_seconds())

            assert await status_of(short.token) == 401
            assert await status_of(lasting.token) == 415


async def test_before_the_clients_were_ever_read_no_caller_is_refused_for_good(kafka: Kafka) -> None:
    away = "postgresql://prequal:x@127.0.0.1:1/prequal"
    async with api_within(away, kafka.bootstrap_servers, api_authentication="keys") as client:
        answer = await client.get(STATUS, headers=bearer(f"pq_bcdfghjk_{'x' * 43}"))

    assert_unavailable(answer, STATUS)


# ── where nobody is asked ───────────────────────────────────────────────────────────────────────────────────────


async def test_application_taken_without_authentication_belongs_to_the_local_client(
    database: Database, kafka: Kafka
) -> None:
    token = (await asyncio.to_thread(a_client, database)).token
    async with api_within(database.url, kafka.bootstrap_servers) as client:
        await ready(client)
        accepted = (await client.post("/applications", json=an_application(), headers=bearer(token))).json()

    async with api_within(database.url, kafka.bootstrap_servers, api_authentication="keys") as client:
        await ready(client)
        foreign = await client.get(f"/applications/{accepted['application_id']}/status", headers=bearer(token))

    assert database.value("SELECT client FROM applications") == LOCAL
    assert foreign.status_code == 404
