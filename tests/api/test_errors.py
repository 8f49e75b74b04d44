"""The error table through a real process; every variety of a row is tried in `tests/unit/api`."""

import json
import socket
from collections.abc import Iterable
from typing import Any, TypeAlias

import pytest

from harness.applications import an_application, an_idempotency_key, without
from tests.support.api import JSON, Api, assert_error, fields_of

UNKNOWN = "9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb6d"
SIZE_MAX = 16 * 1024
JSON_TYPE = JSON["Content-Type"]
Headers: TypeAlias = dict[str, str] | list[tuple[str, str]]


def twice(name: str, *values: str) -> list[tuple[str, str]]:
    """A header in several lines."""
    return [(name, value) for value in values]


def encoded(**changes: Any) -> bytes:
    return json.dumps(an_application(**changes)).encode()


def amount_of(literal: str) -> bytes:
    """A body with `literal`, as it stands, for its income."""
    return encoded(monthly_income_inr="@").replace(b'"@"', literal.encode())


def chunked(content: bytes) -> Iterable[bytes]:
    return iter([content[:10], content[10:]])


@pytest.mark.parametrize(
    ("content", "code", "fields"),
    [
        (lambda: b"", "MALFORMED_REQUEST", []),
        (lambda: encoded()[:-1] + b', "loan_type": "HOME"}', "MALFORMED_REQUEST", []),
        (lambda: amount_of("NaN"), "MALFORMED_REQUEST", []),
        (lambda: amount_of("1." + "0" * 99), "MALFORMED_REQUEST", []),
        (lambda: b"[" * 5000 + b"]" * 5000, "MALFORMED_REQUEST", []),
        (lambda: encoded()[:-1] + b', "x": ' + b'{"a":' * 2000 + b"1" + b"}" * 2001, "MALFORMED_REQUEST", []),
        (lambda: b" " * (SIZE_MAX + 1), "PAYLOAD_TOO_LARGE", []),
        (lambda: chunked(b" " * (SIZE_MAX + 1)), "PAYLOAD_TOO_LARGE", []),
        (lambda: encoded(pan_number="ABCDE12345"), "INVALID_PAN_FORMAT", ["pan_number"]),
        (lambda: amount_of("-987654.32"), "NEGATIVE_AMOUNT", ["monthly_income_inr"]),
        (lambda: amount_of("1e999999999999999999999"), "VALIDATION_ERROR", ["monthly_income_inr"]),
        (lambda: amount_of("77777.001"), "VALIDATION_ERROR", ["monthly_income_inr"]),
        (lambda: encoded(loan_type="GOLD"), "INVALID_LOAN_TYPE", ["loan_type"]),
        (lambda: encoded(applicant_name="Qasha ABCDE1234F"), "VALIDATION_ERROR", ["applicant_name"]),
        (lambda: json.dumps(without("loan_type")).encode(), "VALIDATION_ERROR", ["loan_type"]),
        (lambda: b"[]", "VALIDATION_ERROR", [""]),
        (lambda: encoded(aadhaar="Qx17", father="Qx18"), "VALIDATION_ERROR", ["aadhaar", "father"]),
        (lambda: encoded(loan_type="GOLD", pan_number="x"), "INVALID_PAN_FORMAT", ["pan_number", "loan_type"]),
    ],
)
def test_invalid_body_is_refused_with_its_code_and_fields_and_is_not_repeated(
    api: Api, content: Any, code: str, fields: list[str]
) -> None:
    response = api.post_raw(content())

    statuses = {"MALFORMED_REQUEST": 400, "PAYLOAD_TOO_LARGE": 413}
    body = assert_error(response, statuses.get(code, 422), code)
    assert fields_of({"details": body["details"] or []}) == fields
    words = json.dumps([body["message"], body["details"]])  # ids and times may hold any digits by chance
    assert not [sent for sent in ("987654", "777", "GOLD", "Qasha", "Qx1", "1234") if sent in words]


@pytest.mark.parametrize(
    ("content", "headers"),
    [
        (lambda: encoded() + b" " * (SIZE_MAX - len(encoded())), {}),
        (lambda: chunked(encoded()), {}),
        (lambda: amount_of("85000." + "0" * 94), {}),
        (encoded, {"Content-Type": 'Application/JSON;charset="UTF-8"'}),
        (encoded, {"Content-Type": "application/json\t; charset=utf-8"}),
        (encoded, twice("Content-Type", JSON_TYPE, JSON_TYPE)),
        (encoded, {"Idempotency-Key": '"quoted",b;c=~' + an_idempotency_key()}),
    ],
    ids=[
        "16 KiB",
        "chunked",
        "a number of 100 characters",
        "another spelling of the media type",
        "a tab behind the media type",
        "the media type twice",
        "visible ASCII",
    ],
)
def test_valid_request_is_accepted_however_it_is_written(api: Api, content: Any, headers: Headers) -> None:
    given = headers if isinstance(headers, list) else JSON | headers
    response = api.client.post("/applications", content=content(), headers=given)

    assert response.status_code == 202, response.text


@pytest.mark.parametrize("name", [None, "  Asha  ", "आशा राव", "'); DROP TABLE--"])
def test_name_is_stored_trimmed(api: Api, name: str | None) -> None:
    application_id = api.accepted(an_application(applicant_name=name))

    assert api.database.application(application_id)["applicant_name"] == (name and name.strip())


@pytest.mark.parametrize(
    "request_bytes",
    [
        pytest.param(b"GET / HTTP/1.1\r\nHost: x\r\nIdempotency-Key: a\x7fb\r\n\r\n", id="a header's character"),
        pytest.param(b"ABCDE1234F\r\n\r\n", id="no HTTP at all"),
        pytest.param(b"BREW /applications HTTP/1.1\r\nHost: x\r\n\r\n", id="an unknown method"),
        pytest.param(b"POST /applications HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n", id="a length of x"),
        pytest.param(
            b"POST /applications HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n{",
            id="two lengths",
        ),
    ],
)
def test_request_that_is_no_http_is_a_counted_400_of_the_same_shape(api: Api, request_bytes: bytes) -> None:
    before = unparsable(api)
    with socket.create_connection(("127.0.0.1", api.client.base_url.port or 0), timeout=5) as connection:
        connection.sendall(request_bytes)

        head, _, body = connection.makefile("rb").read().partition(b"\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 400 ")
    assert b"X-Request-ID: " in head
    assert json.loads(body)["error_code"] == "MALFORMED_REQUEST"
    assert json.loads(body)["message"] == "The request is not well-formed HTTP."
    assert b"ABCDE" not in body
    assert unparsable(api) == before + 1


@pytest.mark.parametrize(
    ("line", "header", "status", "code"),
    [
        (f"GET /{'a' * 2048}", "x", 414, "URI_TOO_LONG"),
        ("GET /health", "x" * SIZE_MAX, 431, "HEADERS_TOO_LARGE"),
    ],
)
def test_head_or_target_that_is_too_large_is_refused_in_the_same_shape(
    api: Api, line: str, header: str, status: int, code: str
) -> None:
    with socket.create_connection(("127.0.0.1", api.client.base_url.port or 0), timeout=5) as connection:
        connection.sendall(f"{line} HTTP/1.1\r\nHost: x\r\nX: {header}\r\n\r\n".encode())

        head, _, body = connection.makefile("rb").read().partition(b"\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert head.lower().count(b"content-length:") == 1
    assert b"X-Request-ID: " in head
    assert json.loads(body)["error_code"] == code


def unparsable(api: Api) -> float:
    """How many requests were counted that could not be parsed."""
    sample = 'http_requests_total{method="other",route="other",service="prequal-api",status="400"} '
    lines = api.client.get("/metrics").text.splitlines()
    return sum(float(line.removeprefix(sample)) for line in lines if line.startswith(sample))


@pytest.mark.parametrize(
    ("method", "path", "headers", "status", "code"),
    [
        ("POST", "/applications/", {}, 404, "NOT_FOUND"),
        ("GET", f"/applications/{UNKNOWN}/status", {}, 404, "APPLICATION_NOT_FOUND"),
        ("GET", f"/applications/{UNKNOWN}/decision", {}, 404, "APPLICATION_NOT_FOUND"),
        ("GET", "/applications/1/decision", {}, 422, "VALIDATION_ERROR"),
        ("PUT", "/applications", {}, 405, "METHOD_NOT_ALLOWED"),
        ("POST", "/applications", {"Content-Type": "text/plain"}, 415, "UNSUPPORTED_MEDIA_TYPE"),
        ("POST", "/applications", JSON | {"Content-Encoding": "gzip"}, 415, "UNSUPPORTED_MEDIA_TYPE"),
        ("POST", "/applications", {"Content-Type": "application/json;\tcharset=utf-16"}, 415, "UNSUPPORTED_MEDIA_TYPE"),
        ("POST", "/applications", twice("Content-Type", "text/plain", JSON_TYPE), 415, "UNSUPPORTED_MEDIA_TYPE"),
        (
            "POST",
            "/applications",
            [*JSON.items(), *twice("Content-Encoding", "gzip", "identity")],
            415,
            "UNSUPPORTED_MEDIA_TYPE",
        ),
        ("POST", "/applications", JSON | {"Idempotency-Key": "a key"}, 422, "VALIDATION_ERROR"),
    ],
)
def test_request_of_another_kind_is_refused(
    api: Api, method: str, path: str, headers: Headers, status: int, code: str
) -> None:
    response = api.client.request(method, path, content=encoded(), headers=headers)

    assert_error(response, status, code, path)


def test_key_is_checked_before_the_duplicate_rule(api: Api) -> None:
    application = an_application()
    api.accepted(application)

    response = api.post(application, key="not a key")

    assert_error(response, 422, "VALIDATION_ERROR")
