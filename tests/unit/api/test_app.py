"""The API as a client sees it, without a database: whatever is refused before the write, and every wrong turn."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any
from uuid import UUID

import httpx
import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from prequal.api import app, posts
from prequal.api.authentication import NoAuthentication
from prequal.api.errors import ApiError, ErrorCode
from prequal.api.posts import SubmitApplication
from prequal.api.rate_limits import RateLimits
from prequal.api.reads import OwnApplications, ShowStatus
from prequal.core.topology import Service
from prequal.security.pan_encryption import KeyRing, PanHasher
from prequal.service.http_server import health_handlers
from prequal.service.readiness import Readiness
from prequal.telemetry import metrics
from tests.builders import a_body, a_key, a_request
from tests.support.without_stores import api_settings, unopened_submissions

JSON = {"content-type": "application/json"}
TOO_LARGE = b'"' + b"x" * 16 * 1024 + b'"'


def an_api(show_status: ASGIApp | None = None) -> ASGIApp:
    """The API before its database was found right: what is valid is answered with a 503."""
    submissions = unopened_submissions()
    submit = SubmitApplication(
        submissions, KeyRing(a_key(1)), PanHasher(a_key(2)), None, NoAuthentication(), RateLimits()
    )
    readiness = Readiness(Service.API, api_settings(), needs_kafka=False)
    return app.build(
        submit,
        show_status or failing(ValueError),
        failing(ValueError),
        health_handlers(Service.API, "prequal-api", readiness),
        submissions,
    )


class failing:  # noqa: N801  # stands where a path's own handler stands
    """A path that fails, before its answer or behind the beginning of it."""

    def __init__(self, error: Callable[[], BaseException], *, begun: bool = False) -> None:
        self._error = error
        self._begun = begun

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._begun:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        raise self._error()


def a_client(api: ASGIApp | None = None) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(api or an_api(), raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://api")


async def submitted(content: bytes | AsyncIterator[bytes] | None = None, **headers: str) -> httpx.Response:
    async with a_client() as client:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return await client.post("/applications", content=a_body() if content is None else content, headers=JSON | sent)


async def got(path: str, **headers: str) -> httpx.Response:
    async with a_client() as client:
        return await client.get(path, headers={name.replace("_", "-"): value for name, value in headers.items()})


def code_of(response: httpx.Response) -> str:
    body: dict[str, str] = response.json()
    assert set(body) == {"error_code", "message", "details", "request_id", "timestamp", "path"}
    assert response.headers["content-type"] == "application/json"
    assert response.headers["x-request-id"] == body["request_id"]
    assert response.status_code == ErrorCode[body["error_code"]].status
    return body["error_code"]


# ── submitting ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_valid_application_before_the_database_was_found_right_is_unavailable() -> None:
    response = await submitted()

    assert code_of(response) == "SERVICE_UNAVAILABLE"
    assert 1 <= int(response.headers["retry-after"]) <= 4


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/json; charset=utf-8",
        "Application/JSON;charset=UTF-8",
        'application/json; charset="utf-8"',
        "application/json; charset=utf8",
        "application/json; charset=US-ASCII",
        "application/json ; version=1; charset=utf-8",
        "application/json;",
    ],
)
async def test_json_in_utf_8_is_the_media_type(content_type: str) -> None:
    assert code_of(await submitted(content_type=content_type)) == "SERVICE_UNAVAILABLE"


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/jsonp",
        "application/json; charset=latin-1",
        "application/json; charset=utf-16",
        "application/json; charset=utf-8; charset=utf-16",
        "text/json",
        "application/problem+json",
    ],
)
async def test_another_media_type_is_unsupported(content_type: str) -> None:
    assert code_of(await submitted(content_type=content_type)) == "UNSUPPORTED_MEDIA_TYPE"


async def test_no_media_type_is_unsupported() -> None:
    async with a_client() as client:
        response = await client.post("/applications", content=a_body())

    assert code_of(response) == "UNSUPPORTED_MEDIA_TYPE"


@pytest.mark.parametrize("encoding", ["identity", "Identity"])
async def test_body_that_is_encoded_as_itself_is_read(encoding: str) -> None:
    assert code_of(await submitted(content_encoding=encoding)) == "SERVICE_UNAVAILABLE"


@pytest.mark.parametrize("encoding", ["gzip", "identity, gzip", ""])
async def test_an_encoded_body_is_unsupported(encoding: str) -> None:
    assert code_of(await submitted(content_encoding=encoding)) == "UNSUPPORTED_MEDIA_TYPE"


async def test_a_body_of_just_16_kib_is_read() -> None:
    assert code_of(await submitted(b" " * (16 * 1024 - len(a_body())) + a_body())) == "SERVICE_UNAVAILABLE"


async def test_a_declared_body_of_over_16_kib_is_too_large() -> None:
    assert code_of(await submitted(TOO_LARGE)) == "PAYLOAD_TOO_LARGE"


async def test_a_declared_body_of_over_16_kib_is_refused_before_it_is_sent() -> None:
    async def receive() -> Message:
        raise AssertionError("nobody needs to see it")

    scope = a_scope("/applications")
    scope["headers"].append((b"content-length", b"16385"))
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    await an_api()(scope, receive, send)

    assert sent[0]["status"] == 413


async def test_a_chunked_body_of_over_16_kib_is_too_large() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(17):
            yield b" " * 1024

    response = await submitted(chunks())

    assert code_of(response) == "PAYLOAD_TOO_LARGE"
    assert response.headers["connection"] == "close"


async def test_a_body_that_does_not_come_is_a_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(posts, "BODY_SECONDS", 0.001)

    async def never() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    response = await submitted(never())

    assert code_of(response) == "REQUEST_TIMEOUT"
    assert response.headers["connection"] == "close"


async def test_a_client_that_hangs_up_is_counted_as_499_and_as_no_error_of_ours() -> None:
    hung_up = metrics.HTTP_REQUESTS.labels("POST", "/applications", "499")
    before = hung_up._value.get()

    await sent_by(an_api(), "/applications", {"type": "http.disconnect"})

    assert hung_up._value.get() - before == 1


async def sent_by(api: ASGIApp, path: str, received: Message) -> list[Message]:
    """What the API itself sends, with no client between that would correct it."""
    sent: list[Message] = []

    async def receive() -> Message:
        return received

    async def send(message: Message) -> None:
        sent.append(message)

    await api(a_scope(path), receive, send)
    return sent


def a_scope(path: str) -> dict[str, Any]:
    headers = [(b"content-type", b"application/json")]
    return {
        "type": "http",
        "method": "POST" if path == "/applications" else "GET",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": headers,
    }


# Each body breaks the rule it is named for, and every rule behind it as well.
@pytest.mark.parametrize(
    ("content", "headers", "code"),
    [
        (TOO_LARGE, {"content_type": "text/plain", "idempotency_key": ""}, "PAYLOAD_TOO_LARGE"),
        (b"{", {"content_type": "text/plain", "idempotency_key": ""}, "UNSUPPORTED_MEDIA_TYPE"),
        (b'{"pan_number": 1', {"idempotency_key": ""}, "MALFORMED_REQUEST"),
        (a_body(loan_type="x"), {"idempotency_key": ""}, "INVALID_LOAN_TYPE"),
        (a_body(), {"idempotency_key": ""}, "VALIDATION_ERROR"),
        (a_body(), {}, "SERVICE_UNAVAILABLE"),
    ],
)
async def test_of_several_faults_the_first_one_is_named(content: bytes, headers: dict[str, str], code: str) -> None:
    assert code_of(await submitted(content, **headers)) == code


@pytest.mark.parametrize(("path", "code"), [("/nowhere", "NOT_FOUND"), ("/applications", "METHOD_NOT_ALLOWED")])
async def test_route_and_method_come_before_size(path: str, code: str) -> None:
    async with a_client() as client:
        response = await client.put(path, content=TOO_LARGE)

    assert code_of(response) == code


async def test_a_bad_key_is_reported_without_its_value() -> None:
    response = await submitted(idempotency_key="ABCDE1234F " * 30)

    assert response.json()["details"][0]["field"] == "Idempotency-Key"
    assert "1234" not in response.text


@pytest.mark.parametrize(
    ("keys", "code"),
    [
        (["one", "another"], "VALIDATION_ERROR"),
        (["one", "one"], "SERVICE_UNAVAILABLE"),
        (["one"], "SERVICE_UNAVAILABLE"),
    ],
)
async def test_two_keys_that_differ_are_refused_for_neither_can_be_meant_alone(keys: list[str], code: str) -> None:
    headers = [("content-type", "application/json"), *(("idempotency-key", key) for key in keys)]
    async with a_client() as client:
        response = await client.post("/applications", content=a_body(), headers=headers)

    assert code_of(response) == code
    if code == "VALIDATION_ERROR":
        assert response.json()["details"] == [{"field": "Idempotency-Key", "issue": "must be given once"}]


@pytest.mark.parametrize("field", ["pan_number", "monthly_income_inr", "loan_type", "applicant_name", "ABCDE1234F"])
async def test_no_refusal_shows_the_pan(field: str) -> None:
    body = json.dumps(a_request(pan_number="ABCDE1234F") | {field: "ABCDE1234f"}).encode()

    response = await submitted(body)

    assert "ABCDE" not in response.text + str(response.headers)


# ── wrong turns ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/nothing",
        "/applications/",
        "/applications/x",
        "/applications/x/status/",
        "/Applications",
        "/openapi.yaml",
        "/health/",
        "//applications",
        "/docs/oauth2-redirect",
    ],
)
async def test_an_unknown_path_is_not_found(path: str) -> None:
    assert code_of(await got(path)) == "NOT_FOUND"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        *((method, "/applications", {"POST"}) for method in ("GET", "PUT", "PATCH", "DELETE", "OPTIONS")),
        *(("POST", path, {"GET", "HEAD"}) for path in ("/health", "/ready", "/metrics", "/openapi.json", "/docs")),
        *((method, "/applications/x/status", {"GET", "HEAD"}) for method in ("POST", "DELETE")),
    ],
)
async def test_another_method_is_not_allowed_and_the_right_ones_are_named(
    method: str, path: str, allowed: set[str]
) -> None:
    async with a_client() as client:
        response = await client.request(method, path)

    assert code_of(response) == "METHOD_NOT_ALLOWED"
    assert set(response.headers["allow"].split(", ")) == allowed


@pytest.mark.parametrize("error", [RuntimeError, lambda: ValueError("ABCDE1234F"), lambda: KeyError("x")])
async def test_an_unexpected_error_is_an_internal_error_in_generic_words(error: Callable[[], BaseException]) -> None:
    async with a_client(an_api(failing(error))) as client:
        response = await client.get(f"/applications/{UUID(int=1)}/status")

    assert code_of(response) == "INTERNAL_ERROR"
    assert response.json()["message"] == "Something went wrong on our side."


async def test_an_error_after_the_answer_began_ends_it_without_another_answer() -> None:
    api = an_api(failing(RuntimeError, begun=True))

    sent = await sent_by(api, "/applications/x/status", {"type": "http.request", "body": b"", "more_body": False})

    assert [message["type"] for message in sent] == ["http.response.start"]


@pytest.mark.parametrize("code", ErrorCode)
async def test_every_code_reaches_the_client(code: ErrorCode) -> None:
    async with a_client(an_api(failing(lambda: ApiError(code)))) as client:
        response = await client.get("/applications/x/status")

    assert code_of(response) == code.name


# ── request ids ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("request_id", ["a", "A.b_c-9", "x" * 64, "9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb6d"])
async def test_a_sane_request_id_is_kept(request_id: str) -> None:
    response = await got("/nothing", x_request_id=request_id)

    assert response.headers["x-request-id"] == response.json()["request_id"] == request_id


@pytest.mark.parametrize(
    "request_id",
    [
        "",
        "x" * 65,
        "a b",
        "a/b",
        "<script>",
        "ABCDE1234F",
        "id-abcde1234f-1",
        "a\tb",
        "a,b",
        "ABCDE-1234-F",
        "id.abcde_1234.f",
    ],
)
async def test_another_request_id_is_replaced(request_id: str) -> None:
    response = await got("/nothing", x_request_id=request_id)

    assert UUID(response.headers["x-request-id"]).version == 7
    assert response.json()["request_id"] == response.headers["x-request-id"]


async def test_each_request_without_an_id_gets_its_own() -> None:
    ids = {(await got("/nothing")).headers["x-request-id"] for _ in range(5)}

    assert len(ids) == 5


async def test_every_answer_has_a_request_id() -> None:
    paths = ("/health", "/ready", "/metrics", "/openapi.json", "/docs", "/redoc", "/nowhere", "/applications")
    answers = [await got(path, x_request_id="carried") for path in paths]

    assert [answer.status_code for answer in answers] == [200, 503, 200, 200, 200, 200, 404, 405]
    assert {answer.headers["x-request-id"] for answer in answers} == {"carried"}


# ── application ids ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "1",
        "01935f6e7c1a7b529e0b3f6f2a9d1c44",
        "{01935f6e-7c1a-7b52-9e0b-3f6f2a9d1c44}",
        "01935f6e-7c1a7b52-9e0b-3f6f2a9d1c4-4",
        "{01935f6e7c1a7b529e0b3f6f2a9d1c44}{}",
        "é" * 36,
        "ABCDE1234F",
        "null",
        "urn:uuid:01935f6e-7c1a-7b52-9e0b-3f6f2a9d1c44",
        "01935f6e-7c1a-7b52-9e0b-3f6f2a9d1c440",
        "01935f6e-7c1a-7b52-9e0b-3f6f2a9d1c4g",
        "----01935f6e7c1a7b529e0b3f6f2a9d1c44",
        "01935f6e-7c1a-7b52-9e0b-3f6f2a9d1c_1",
        "%00",
        "' OR 1=1",
    ],
)
async def test_an_id_that_is_no_uuid_is_a_validation_error(text: str) -> None:
    applications = OwnApplications(None, NoAuthentication(), RateLimits())  # type: ignore[arg-type]  # never asked
    async with a_client(an_api(ShowStatus(applications))) as client:
        response = await client.get(f"/applications/{text}/status")

    assert code_of(response) == "VALIDATION_ERROR"
    assert response.json()["details"] == [{"field": "application_id", "issue": "must be a UUID"}]
    assert "ABCDE" not in response.text
