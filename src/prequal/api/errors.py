"""Every error the API answers with, in its one shape.

Invariant: no answer repeats a value that was sent, and nothing PAN-shaped leaves unmasked.
"""

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum

from starlette.responses import Response

from prequal.api.masking import shown_path
from prequal.core.errors import Refused
from prequal.domain.times import rfc3339
from prequal.telemetry.metrics import SUBMIT_ROUTE


class Code(Enum):
    """A code, with its status and its words."""

    _value_: tuple[int, str]

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self._value_[0]

    @property
    def words(self) -> str:
        """The message."""
        return self._value_[1]


class ErrorCode(Code):
    """The codes of the public API."""

    MALFORMED_REQUEST = 400, "The body is not a well-formed JSON object of sane size."
    UNAUTHENTICATED = 401, "Send the token of a client: Authorization: Bearer pq_<id>_<secret>."
    FORBIDDEN = 403, "This client may not do this."
    NOT_FOUND = 404, "There is nothing at this path."
    APPLICATION_NOT_FOUND = 404, "There is no application with this id."
    METHOD_NOT_ALLOWED = 405, "This path does not take this method; see the Allow header."
    REQUEST_TIMEOUT = 408, "The body did not arrive within 10 seconds."
    DUPLICATE_APPLICATION = 409, "An application for this PAN was accepted less than 24 hours ago."
    IDEMPOTENCY_KEY_IN_USE = 409, "The first request with this Idempotency-Key is still being answered; try again."
    PAYLOAD_TOO_LARGE = 413, "The body is over 16 KiB."
    URI_TOO_LONG = 414, "The request's target is over 2 KiB."
    UNSUPPORTED_MEDIA_TYPE = 415, "Send application/json, without a Content-Encoding."
    INVALID_PAN_FORMAT = 422, "pan_number is not a PAN that this service takes."
    NEGATIVE_AMOUNT = 422, "Amounts must be greater than zero."
    INVALID_LOAN_TYPE = 422, "loan_type must be PERSONAL, HOME or AUTO."
    VALIDATION_ERROR = 422, "The request breaks a rule; see details."
    IDEMPOTENCY_KEY_REUSED = 422, "This Idempotency-Key was used with another body."
    RATE_LIMITED = 429, "Too many requests: try again after the seconds of Retry-After."
    HEADERS_TOO_LARGE = 431, "The request's head is over 16 KiB, or has over 100 fields."
    DATABASE_ERROR = 500, "The application could not be stored; it was not accepted."
    INTERNAL_ERROR = 500, "Something went wrong on our side."
    SERVICE_UNAVAILABLE = 503, "The service cannot answer now: try again."


_WORDS_OF_SUBMIT: Mapping[Code, str] = {
    ErrorCode.SERVICE_UNAVAILABLE: "The service cannot answer now: try again with the same Idempotency-Key.",
}
"""The words of codes that say more to the client that posts an application."""

RETRY_AFTER: Mapping[Code, tuple[int, int]] = {
    ErrorCode.IDEMPOTENCY_KEY_IN_USE: (1, 1),
    ErrorCode.SERVICE_UNAVAILABLE: (1, 4),
}
"""Seconds, from and to, for the errors that may pass with time; drawn, so that not all come back at once."""


@dataclass(frozen=True, slots=True)
class FieldIssue:
    """What is wrong with one field, without its value; `field` is fit to be shown."""

    field: str
    issue: str


class ApiError(Refused):
    """A request is refused, in the words of its code and route or in others that fit better.

    Those repeat nothing that was sent.
    """

    def __init__(
        self,
        code: Code,
        details: list[FieldIssue] | None = None,
        headers: Mapping[str, str] = {},
        words: str | None = None,
    ) -> None:
        super().__init__(words or code.words)
        self.words = words
        self.code = code
        self.details = details
        self.headers = headers


def error_response(error: ApiError, request_id: str, path: str) -> Response:
    """The one shape. `X-Request-ID` is set where it is sent."""
    code = error.code
    body = {
        "error_code": code.name,
        "message": error.words or words_at(code, path),
        "details": None if error.details is None else [_detail(issue) for issue in error.details],
        "request_id": request_id,
        "timestamp": rfc3339(datetime.now(UTC)),
        "path": shown_path(path),
    }
    return Response(json.dumps(body), code.status, {**error.headers, **retry_after(code)}, "application/json")


def words_at(code: Code, path: str) -> str:
    """A code's words in the answer to a request for `path`, unless the error has words of its own."""
    return _WORDS_OF_SUBMIT.get(code, code.words) if path == SUBMIT_ROUTE else code.words


def retry_after(code: Code, later_seconds: float = 0.0) -> dict[str, str]:
    """The header that says when to try again, for the errors that may pass; later by about so many seconds."""
    if code not in RETRY_AFTER:
        return {}
    soonest, latest = RETRY_AFTER[code]
    wait = random.randint(soonest + round(later_seconds / 2), latest + round(later_seconds * 1.5))
    return {"Retry-After": str(wait)}


def _detail(issue: FieldIssue) -> dict[str, str]:
    return {"field": issue.field, "issue": issue.issue}
