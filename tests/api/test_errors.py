"""The contract's error table, a case a row, and the order in which a request is checked."""

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from harness.applications import a_key, a_pan, an_application, without
from tests.support.api import Api, assert_error, fields_of

UNKNOWN = "9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb6d"
TOO_LARGE = b" " * (16 * 1024 + 1)


def encoded(**changes: Any) -> bytes:
    return json.dumps(an_application(**changes)).encode()


def with_literal(field: str, literal: str) -> bytes:
    """A body with `literal`, as it stands, for a field's value."""
    return encoded(**{field: "@"}).replace(b'"@"', literal.encode())


# ── 400 ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"pan_number=ABCDE1234F", id="no JSON"),
        pytest.param(b'{"pan_number": "', id="cut off"),
        pytest.param(encoded() + b"}", id="something behind it"),
        pytest.param(encoded() + b"\x00", id="a zero byte behind it"),
        pytest.param(b"\xef\xbb\xbf" + encoded(), id="byte order mark"),
        pytest.param(encoded(applicant_name="@").replace(b"@", b"Jos\xe9"), id="Latin-1"),
        pytest.param(json.dumps(an_application()).encode("utf-16"), id="UTF-16"),
        pytest.param(encoded(applicant_name="@").replace(b"@", b"\xed\xa0\x80"), id="a surrogate in UTF-8"),
        pytest.param(encoded()[:-1] + b', "loan_type": "HOME"}', id="a field twice"),
        pytest.param(encoded()[:-1] + b', "x": {"a": 1, "a": 2}}', id="an inner field twice"),
        pytest.param(with_literal("loan_amount_inr", "NaN"), id="NaN"),
        pytest.param(with_literal("loan_amount_inr", "Infinity"), id="Infinity"),
        pytest.param(with_literal("monthly_income_inr", "-Infinity"), id="-Infinity"),
        pytest.param(with_literal("monthly_income_inr", "0" * 3), id="leading zeros"),
        pytest.param(with_literal("monthly_income_inr", "1." + "0" * 99), id="a number of 101 characters"),
        pytest.param(with_literal("monthly_income_inr", "9" * 5000), id="a number of 5,000 digits"),
        pytest.param(b"[" * 5000 + b"]" * 5000, id="nested 5,000 deep"),
        pytest.param(encoded()[:-1] + b', "x": ' + b'{"a":' * 2000 + b"1" + b"}" * 2000 + b"}", id="nested in a field"),
    ],
)
def test_malformed_body_is_400(api: Api, content: bytes) -> None:
    response = api.post_raw(content)

    body = assert_error(response, 400, "MALFORMED_REQUEST")
    assert body["details"] is None


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
def test_request_that_is_no_http_is_400_in_the_same_shape_says_so_and_is_counted(
    api: Api, request_bytes: bytes
) -> None:
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


def unparsable(api: Api) -> float:
    """How many requests were counted that could not be parsed."""
    sample = 'http_requests_total{method="other",route="other",service="prequal-api",status="400"} '
    lines = api.client.get("/metrics").text.splitlines()
    return sum(float(line.removeprefix(sample)) for line in lines if line.startswith(sample))


def test_number_of_100_characters_is_well_formed(api: Api) -> None:
    response = api.post_raw(with_literal("monthly_income_inr", "85000." + "0" * 94))

    assert response.status_code == 202


# ── 404, 405 ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/nowhere"),
        ("POST", "/nowhere"),
        ("POST", "/applications/"),
        ("GET", f"/applications/{UNKNOWN}"),
        ("GET", f"/applications/{UNKNOWN}/status/"),
        ("GET", "/health/"),
        ("GET", "/Applications"),
        ("DELETE", "/openapi.yaml"),
    ],
)
def test_unknown_path_is_404(api: Api, method: str, path: str) -> None:
    response = api.client.request(method, path)

    assert_error(response, 404, "NOT_FOUND", path)


def test_unknown_application_is_404(api: Api) -> None:
    path = f"/applications/{UNKNOWN}/status"

    response = api.client.get(path)

    body = assert_error(response, 404, "APPLICATION_NOT_FOUND", path)
    assert body["details"] is None


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/applications", {"POST"}),
        ("PUT", "/applications", {"POST"}),
        ("PATCH", "/applications", {"POST"}),
        ("DELETE", "/applications", {"POST"}),
        ("OPTIONS", "/applications", {"POST"}),
        ("POST", f"/applications/{UNKNOWN}/status", {"GET", "HEAD"}),
        ("DELETE", f"/applications/{UNKNOWN}/status", {"GET", "HEAD"}),
        ("POST", "/health", {"GET", "HEAD"}),
        ("POST", "/ready", {"GET", "HEAD"}),
        ("POST", "/metrics", {"GET", "HEAD"}),
        ("POST", "/openapi.json", {"GET", "HEAD"}),
        ("POST", "/docs", {"GET", "HEAD"}),
    ],
)
def test_wrong_method_is_405_and_says_which_are_allowed(api: Api, method: str, path: str, allowed: set[str]) -> None:
    response = api.client.request(method, path)

    assert_error(response, 405, "METHOD_NOT_ALLOWED", path)
    assert set(response.headers["allow"].split(", ")) == allowed


# ── 413, 415 ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_body_of_exactly_16_kib_is_taken(api: Api) -> None:
    content = encoded()

    response = api.post_raw(content + b" " * (16 * 1024 - len(content)))

    assert response.status_code == 202


def test_declared_body_over_16_kib_is_413(api: Api) -> None:
    response = api.post_raw(TOO_LARGE)

    assert_error(response, 413, "PAYLOAD_TOO_LARGE")


def test_chunked_body_over_16_kib_is_413(api: Api) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(17):
            yield b" " * 1024

    response = api.client.post("/applications", content=chunks(), headers={"Content-Type": "application/json"})

    assert_error(response, 413, "PAYLOAD_TOO_LARGE")


def test_chunked_body_within_16_kib_is_taken(api: Api) -> None:
    content = encoded()

    response = api.client.post(
        "/applications", content=iter([content[:10], content[10:]]), headers={"Content-Type": "application/json"}
    )

    assert response.status_code == 202


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({}, id="none"),
        pytest.param({"Content-Type": ""}, id="empty"),
        pytest.param({"Content-Type": "text/plain"}, id="text"),
        pytest.param({"Content-Type": "application/jsonp"}, id="nearly JSON"),
        pytest.param({"Content-Type": "application/problem+json"}, id="another JSON"),
        pytest.param({"Content-Type": "application/x-www-form-urlencoded"}, id="a form"),
        pytest.param({"Content-Type": "application/json; charset=latin-1"}, id="another charset"),
        pytest.param({"Content-Type": "application/json", "Content-Encoding": "gzip"}, id="gzip"),
        pytest.param({"Content-Type": "application/json", "Content-Encoding": "identity"}, id="identity"),
    ],
)
def test_anything_but_plain_json_is_415(api: Api, headers: dict[str, str]) -> None:
    response = api.client.post("/applications", content=encoded(), headers=headers)

    body = assert_error(response, 415, "UNSUPPORTED_MEDIA_TYPE")
    assert body["details"] is None


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "Application/JSON", "application/json; charset=utf-8", 'application/json;charset="UTF-8"'],
)
def test_json_is_taken_however_it_is_spelled(api: Api, content_type: str) -> None:
    response = api.post_raw(encoded(), Content_Type=content_type)

    assert response.status_code == 202


# ── 422: one field ──────────────────────────────────────────────────────────────────────────────────────────────

A_WRONG_PAN = [
    pytest.param("abcde1234f", id="lower case"),
    pytest.param("ABCDE1234", id="nine characters"),
    pytest.param("ABCDE1234FF", id="eleven characters"),
    pytest.param(" ABCDE1234F", id="a space before it"),
    pytest.param("ABCDE1234F\n", id="a line's end behind it"),
    pytest.param("ABCDE12345", id="a digit last"),
    pytest.param("ABCD01234F", id="a digit among the letters"),
    pytest.param("ÀBCDE1234F", id="a letter that is not ASCII"),
    pytest.param("ABCDE１２３４F", id="wide digits"),
    pytest.param("ABCDE١٢٣٤F", id="Arabic digits"),
    pytest.param("", id="empty"),
]


@pytest.mark.parametrize("pan", A_WRONG_PAN)
def test_wrong_pan_is_422_invalid_pan_format(api: Api, pan: str) -> None:
    response = api.post(an_application(pan_number=pan))

    body = assert_error(response, 422, "INVALID_PAN_FORMAT")
    assert fields_of(body) == ["pan_number"]
    assert not pan.strip() or pan.strip() not in body["message"] + str(body["details"])


@pytest.mark.parametrize("field", ["monthly_income_inr", "loan_amount_inr"])
@pytest.mark.parametrize("amount", ["0", "0.00", "-0.01", "-987654.32", "-99999999999"])
@pytest.mark.parametrize("spelled", [str, json.dumps], ids=["number", "string"])
def test_amount_that_is_not_positive_is_422_negative_amount(api: Api, field: str, amount: str, spelled: Any) -> None:
    response = api.post_raw(with_literal(field, spelled(amount)))

    body = assert_error(response, 422, "NEGATIVE_AMOUNT")
    assert fields_of(body) == [field]
    assert "987654" not in body["message"] + str(body["details"])


@pytest.mark.parametrize("field", ["monthly_income_inr", "loan_amount_inr"])
@pytest.mark.parametrize(
    "literal",
    [
        "10000000000.00",
        "9999999999.991",
        "77777.001",
        "0.001",
        "1e-5",
        "1e11",
        "1e400",
        "1e999999999999999999999",
        "1e-999999999999999999999",
        '"77777.001"',
        '"10000000000"',
        '"1e5"',
        '"+77777"',
        '" 77777"',
        '"77,777"',
        '"٧٧٧"',
        '"７７７"',
        '"0x7777"',
        '"7_777"',
        '"NaN"',
        '"Infinity"',
        '"--7"',
        '"1.2.3"',
        '"."',
        '"-"',
        '""',
        "true",
        "[77777]",
        "{}",
        f'"{"7" * 101}"',
    ],
)
def test_amount_out_of_range_or_of_another_shape_is_422(api: Api, field: str, literal: str) -> None:
    response = api.post_raw(with_literal(field, literal))

    body = assert_error(response, 422, "VALIDATION_ERROR")
    assert fields_of(body) == [field]
    assert "777" not in body["message"] + str(body["details"])


@pytest.mark.parametrize("loan_type", ["GOLD", "home", "HOME ", "", "LoanType.HOME"])
def test_unknown_loan_type_is_422_invalid_loan_type(api: Api, loan_type: str) -> None:
    response = api.post(an_application(loan_type=loan_type))

    body = assert_error(response, 422, "INVALID_LOAN_TYPE")
    assert fields_of(body) == ["loan_type"]
    assert "GOLD" not in response.text


@pytest.mark.parametrize("field", ["pan_number", "monthly_income_inr", "loan_amount_inr", "loan_type"])
@pytest.mark.parametrize("missing", [without, lambda field: an_application(**{field: None})], ids=["absent", "null"])
def test_missing_field_is_422(api: Api, field: str, missing: Any) -> None:
    response = api.post(missing(field))

    body = assert_error(response, 422, "VALIDATION_ERROR")
    assert body["details"] == [{"field": field, "issue": "is required"}]


@pytest.mark.parametrize("field", ["pan_number", "loan_type", "applicant_name"])
@pytest.mark.parametrize("value", [42, True, ["a"], {"a": "b"}, 4.2], ids=str)
def test_field_of_another_type_is_422(api: Api, field: str, value: object) -> None:
    response = api.post(an_application(**{field: value}))

    body = assert_error(response, 422, "VALIDATION_ERROR")
    assert fields_of(body) == [field]


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("", id="empty"),
        pytest.param("   ", id="spaces"),
        pytest.param("Q" * 256, id="256 characters"),
        pytest.param("Qasha\x00Rao", id="a zero byte"),
        pytest.param("Qasha\nRao", id="a line's end"),
        pytest.param("Qasha\x85Rao", id="a C1 control"),
        pytest.param("Qasha\ud800Rao", id="half a surrogate pair"),
        pytest.param("Qasha ABCDE1234F", id="a PAN"),
        pytest.param("abcde1234f", id="a PAN in lower case"),
        pytest.param("Qasha (PAN:ABCDE 1234 F)", id="a PAN with spaces"),
        pytest.param("ABCDE-1234-F", id="a PAN with hyphens"),
        pytest.param("ＡＢＣＤＥ１２３４Ｆ", id="a PAN in wide letters"),
        pytest.param("ABCDE\u200b1234F", id="a PAN with a zero-width space"),
    ],
)
def test_wrong_name_is_422_and_not_repeated(api: Api, name: str) -> None:
    response = api.post_raw(encoded(applicant_name=name))

    body = assert_error(response, 422, "VALIDATION_ERROR")
    assert fields_of(body) == ["applicant_name"]
    said = body["message"] + str(body["details"])
    assert "Qasha" not in said
    assert "1234" not in said


@pytest.mark.parametrize("name", [None, "A", "é" * 255, "  Asha  ", "O'Brien-Śmith", "आशा राव", "'); DROP TABLE--"])
def test_sane_name_is_taken(api: Api, name: str | None) -> None:
    application_id = api.accepted(an_application(applicant_name=name))

    stored = api.database.application(application_id)["applicant_name"]
    assert stored == (name and name.strip())


def test_name_may_be_left_out(api: Api) -> None:
    application_id = api.accepted(without("applicant_name"))

    assert api.database.application(application_id)["applicant_name"] is None


@pytest.mark.parametrize("content", [b"[]", b'"text"', b"42", b"null", b"true", b"[{}]"])
def test_json_that_is_no_object_is_422(api: Api, content: bytes) -> None:
    response = api.post_raw(content)

    assert_error(response, 422, "VALIDATION_ERROR")


def test_unknown_field_is_422_and_named(api: Api) -> None:
    response = api.post(an_application(aadhaar="Qx17", father="Qx18"))

    body = assert_error(response, 422, "VALIDATION_ERROR")
    assert fields_of(body) == ["aadhaar", "father"]
    assert "Qx1" not in response.text


@pytest.mark.parametrize(
    "name",
    [
        "{}",
        "pan {}",
        "x{}",
        "{}{}",
        pytest.param("-" * 95 + "{}", id="across the limit of 100 characters"),
        pytest.param("-" * 91 + "{}", id="cut off one before its end"),
    ],
)
@pytest.mark.parametrize("case", [str.upper, str.lower], ids=["upper", "lower"])
def test_pan_as_the_name_of_an_unknown_field_is_masked(api: Api, name: str, case: Any) -> None:
    pan = a_pan()

    response = api.post(an_application(**{case(name.format(pan, pan)): 1}))

    assert_error(response, 422, "VALIDATION_ERROR")
    assert pan[:5] not in response.text.upper()


@pytest.mark.parametrize("between", [" ", "-", "_", ". ", "\u200b"])
def test_pan_with_separators_as_the_name_of_an_unknown_field_is_masked_whole(api: Api, between: str) -> None:
    pan = a_pan()

    response = api.post(an_application(**{f"{pan[:5]}{between}{pan[5:]}": 1}))

    body = assert_error(response, 422, "VALIDATION_ERROR")
    assert fields_of(body) == ["XXXXX"]


# ── 422: several fields ─────────────────────────────────────────────────────────────────────────────────────────

WRONG = [
    ("pan_number", "ABCDE", "INVALID_PAN_FORMAT"),
    ("monthly_income_inr", "-1", "NEGATIVE_AMOUNT"),
    ("loan_amount_inr", "x", "VALIDATION_ERROR"),
    ("loan_type", "GOLD", "INVALID_LOAN_TYPE"),
    ("applicant_name", "", "VALIDATION_ERROR"),
    ("colour", "red", "VALIDATION_ERROR"),
]
"""A wrong value for each field, in the contract's order."""


@pytest.mark.parametrize("first", range(len(WRONG)))
def test_first_wrong_field_gives_the_code_and_details_name_all(api: Api, first: int) -> None:
    wrong = WRONG[first:]
    backwards = {field: value for field, value, _ in reversed(wrong)}

    response = api.post(backwards | {k: v for k, v in an_application().items() if k not in backwards})

    body = assert_error(response, 422, wrong[0][2])
    assert fields_of(body) == [field for field, _, _ in wrong]
    assert all(detail["issue"] for detail in body["details"])


def test_code_of_a_missing_field_stands_in_the_same_order(api: Api) -> None:
    response = api.post(without("pan_number", monthly_income_inr=-1, loan_type="GOLD"))

    body = assert_error(response, 422, "VALIDATION_ERROR")
    assert fields_of(body) == ["pan_number", "monthly_income_inr", "loan_type"]


# ── 422: the key ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "key",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"k" * 256, id="256 characters"),
        pytest.param(b"a key", id="a space"),
        pytest.param(b"a\tkey", id="a tab"),
        pytest.param("clé".encode(), id="UTF-8"),
        pytest.param(b"cl\xe9", id="Latin-1"),
    ],
)
def test_key_of_other_characters_is_422(api: Api, key: bytes) -> None:
    response = api.client.post("/applications", json=an_application(), headers=[(b"Idempotency-Key", key)])

    body = assert_error(response, 422, "VALIDATION_ERROR")
    assert fields_of(body) == ["Idempotency-Key"]


@pytest.mark.parametrize("key", ["k", "!", "~", "k" * 255, '"quoted"', "a,b;c=d"])
def test_key_of_visible_ascii_is_taken(api: Api, key: str) -> None:
    unique = (key + a_key())[:255] if len(key) < 200 else key

    response = api.post(an_application(), unique)

    assert response.status_code == 202


# ── the order of the checks ─────────────────────────────────────────────────────────────────────────────────────


def test_path_is_checked_before_size(api: Api) -> None:
    response = api.client.post("/nowhere", content=TOO_LARGE)

    assert_error(response, 404, "NOT_FOUND", "/nowhere")


def test_method_is_checked_before_size(api: Api) -> None:
    response = api.client.put("/applications", content=TOO_LARGE)

    assert_error(response, 405, "METHOD_NOT_ALLOWED")


def test_size_is_checked_before_media_type(api: Api) -> None:
    response = api.post_raw(TOO_LARGE, Content_Type="text/plain")

    assert_error(response, 413, "PAYLOAD_TOO_LARGE")


def test_size_is_checked_before_media_type_when_chunked_too(api: Api) -> None:
    response = api.client.post("/applications", content=iter([TOO_LARGE]), headers={"Content-Type": "text/plain"})

    assert_error(response, 413, "PAYLOAD_TOO_LARGE")


def test_media_type_is_checked_before_well_formedness(api: Api) -> None:
    response = api.post_raw(b"{", Content_Type="text/plain")

    assert_error(response, 415, "UNSUPPORTED_MEDIA_TYPE")


def test_well_formedness_is_checked_before_fields(api: Api) -> None:
    response = api.post_raw(b'{"pan_number": "x", "pan_number": "x"}')

    assert_error(response, 400, "MALFORMED_REQUEST")


def test_fields_are_checked_before_the_key(api: Api) -> None:
    response = api.post(an_application(loan_type="GOLD"), key="not a key")

    assert_error(response, 422, "INVALID_LOAN_TYPE")


def test_key_is_checked_before_the_duplicate_rule(api: Api) -> None:
    application = an_application()
    api.accepted(application)

    response = api.post(application, key="not a key")

    assert_error(response, 422, "VALIDATION_ERROR")
