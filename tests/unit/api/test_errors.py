import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prequal.api.errors import RETRY_AFTER, ApiError, ErrorCode, FieldIssue, error_response, retry_after, words_at
from prequal.api.request import parse
from prequal.core.errors import Refused
from tests.builders import a_body
from tests.support.pans import NUMBERS, TEXTS, shown

PUBLIC = {
    400: {"MALFORMED_REQUEST"},
    401: {"UNAUTHENTICATED"},
    403: {"FORBIDDEN"},
    404: {"APPLICATION_NOT_FOUND", "NOT_FOUND"},
    405: {"METHOD_NOT_ALLOWED"},
    408: {"REQUEST_TIMEOUT"},
    409: {"DUPLICATE_APPLICATION", "IDEMPOTENCY_KEY_IN_USE"},
    413: {"PAYLOAD_TOO_LARGE"},
    414: {"URI_TOO_LONG"},
    415: {"UNSUPPORTED_MEDIA_TYPE"},
    422: {
        "INVALID_PAN_FORMAT",
        "NEGATIVE_AMOUNT",
        "INVALID_LOAN_TYPE",
        "VALIDATION_ERROR",
        "IDEMPOTENCY_KEY_REUSED",
    },
    429: {"RATE_LIMITED"},
    431: {"HEADERS_TOO_LARGE"},
    500: {"DATABASE_ERROR", "INTERNAL_ERROR"},
    503: {"SERVICE_UNAVAILABLE"},
}


def rendered(error: ApiError, request_id: str = "request-1", path: str = "/applications") -> dict[str, Any]:
    body: dict[str, Any] = json.loads(bytes(error_response(error, request_id, path).body))
    return body


def test_the_public_codes_have_their_statuses_and_there_are_no_others() -> None:
    codes = {(status, code) for status, codes in PUBLIC.items() for code in codes}

    assert {(code.status, code.name) for code in ErrorCode} == codes


@pytest.mark.parametrize("code", ErrorCode)
def test_every_error_has_the_one_shape(code: ErrorCode) -> None:
    response = error_response(ApiError(code), "request-1", "/applications")

    body = json.loads(bytes(response.body))
    assert response.status_code == code.status
    assert response.media_type == "application/json"
    assert list(body) == ["error_code", "message", "details", "request_id", "timestamp", "path"]
    assert (body["error_code"], body["details"]) == (code.name, None)
    assert body["message"] == words_at(code, "/applications")
    assert (body["request_id"], body["path"]) == ("request-1", "/applications")


def test_every_message_is_a_sentence_of_its_own() -> None:
    words = [code.words for code in ErrorCode]

    assert len(set(words)) == len(ErrorCode)
    assert all(text.endswith(".") for text in words)


def test_an_errors_time_is_now_in_utc() -> None:
    before = datetime.now(UTC)

    stamp = rendered(ApiError(ErrorCode.NOT_FOUND))["timestamp"]

    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", stamp)
    assert before <= datetime.fromisoformat(stamp) <= datetime.now(UTC)


@pytest.mark.parametrize("code", ErrorCode)
def test_error_that_may_pass_says_when_to_try_again(code: ErrorCode) -> None:
    headers = error_response(ApiError(code), "request-1", "/").headers

    assert ("retry-after" in headers) is (code in RETRY_AFTER)
    assert set(RETRY_AFTER) == {ErrorCode.IDEMPOTENCY_KEY_IN_USE, ErrorCode.SERVICE_UNAVAILABLE}
    assert all(0 < least <= most for least, most in RETRY_AFTER.values())


@pytest.mark.parametrize("path", ["/applications", "/applications/1/status", "/applications/1/decision", ""])
def test_unavailable_says_to_retry_with_the_same_key_where_an_application_is_posted_alone(path: str) -> None:
    message = rendered(ApiError(ErrorCode.SERVICE_UNAVAILABLE), path=path)["message"]

    assert "try again" in message
    assert ("same Idempotency-Key" in message) == (path == "/applications")


def test_an_errors_own_words_are_shown_wherever_it_is_raised() -> None:
    assert rendered(ApiError(ErrorCode.SERVICE_UNAVAILABLE, words="Wait."))["message"] == "Wait."


def test_an_errors_own_headers_are_sent() -> None:
    error = ApiError(ErrorCode.METHOD_NOT_ALLOWED, headers={"Allow": "POST"})

    assert error_response(error, "request-1", "/").headers["allow"] == "POST"


def test_details_name_field_and_issue() -> None:
    error = ApiError(ErrorCode.VALIDATION_ERROR, [FieldIssue("loan_type", "is required"), FieldIssue("x", "is not")])

    assert rendered(error)["details"] == [
        {"field": "loan_type", "issue": "is required"},
        {"field": "x", "issue": "is not"},
    ]


@given(TEXTS, NUMBERS)
def test_a_pan_in_the_path_is_masked(before: str, number: str) -> None:
    assert shown(rendered(ApiError(ErrorCode.NOT_FOUND), path=f"/{before}{number}")["path"]) == []


@given(TEXTS, NUMBERS)
def test_a_pan_in_the_name_of_an_unknown_field_is_masked(before: str, number: str) -> None:
    with pytest.raises(ApiError) as refused:
        parse(a_body(**{before + number: 1}))

    assert shown(rendered(refused.value)["details"][0]["field"]) == []


@pytest.mark.parametrize("length", range(91, 100))
def test_a_pan_at_the_cut_of_a_long_field_name_is_masked(length: int) -> None:
    with pytest.raises(ApiError) as refused:
        parse(a_body(**{"-" * length + "ABCDE1234F": 1}))

    shown = rendered(refused.value)["details"][0]["field"]
    assert set(shown) <= set("-X1234F")


@given(st.text(max_size=20))
def test_any_path_and_field_can_be_shown(text: str) -> None:
    error = ApiError(ErrorCode.VALIDATION_ERROR, [FieldIssue(text, "is not a field of this request")])

    assert rendered(error, path=text)["path"] is not None


def test_a_lone_surrogate_in_a_field_name_can_be_shown() -> None:
    error = ApiError(ErrorCode.VALIDATION_ERROR, [FieldIssue("\ud800", "is not a field of this request")])

    assert rendered(error)["details"][0]["field"] == "\ud800"


def test_an_api_error_is_a_refusal_in_its_codes_words() -> None:
    error = ApiError(ErrorCode.DUPLICATE_APPLICATION)

    assert isinstance(error, Refused)
    assert str(error) == ErrorCode.DUPLICATE_APPLICATION.words


def test_seconds_to_wait_are_drawn_so_that_not_all_come_back_at_once() -> None:
    drawn = {
        error_response(ApiError(ErrorCode.SERVICE_UNAVAILABLE), "request-1", "/").headers["retry-after"]
        for _ in range(200)
    }

    assert len(drawn) > 1


def test_refused_client_is_asked_to_wait_for_between_half_as_long_and_half_as_long_again() -> None:
    drawn = {int(retry_after(ErrorCode.SERVICE_UNAVAILABLE, 10.0)["Retry-After"]) for _ in range(200)}

    soonest, latest = RETRY_AFTER[ErrorCode.SERVICE_UNAVAILABLE]
    assert soonest + 5 <= min(drawn) < max(drawn) <= latest + 15
