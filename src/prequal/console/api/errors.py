"""Every error that the console's JSON API answers with, in the shape of the public API.

Invariant: an answer says what the person may know, in one sentence, and repeats nothing that was sent.
"""

from collections.abc import Mapping
from typing import Any, Final

from prequal.api import errors
from prequal.api.errors import ApiError, FieldIssue
from prequal.api.masking import shown_name
from prequal.console.away import away
from prequal.console.sign_in_limit import retry_after
from prequal.core.errors import Misconfigured, PrequalError, Refused, Transient, UsageError
from prequal.domain.policy.problems import NotAPolicy
from prequal.ops.dead_letter_resolution import DiscardedBefore, NoSuchDeadLetter
from prequal.people.sign_in import SignInRefused, TooManyRefused
from prequal.policy_versions.life import NoSuchVersion
from prequal.review.errors import NoSuchCase, UnfitText


class Code(errors.Code):
    """The codes of the console's JSON API."""

    MALFORMED_REQUEST = 400, "The body is not a well-formed JSON object."
    UNAUTHENTICATED = 401, "Send the token of a session that has not ended: Authorization: Bearer <token>."
    FORBIDDEN = 403, "Your roles have no right to this."
    NOT_FOUND = 404, "There is nothing at this path."
    METHOD_NOT_ALLOWED = 405, "This path does not take this method; see the Allow header."
    REQUEST_TIMEOUT = 408, "The body did not arrive within 10 seconds."
    CONFLICT = 409, "What is asked for does not fit where it stands."
    PAYLOAD_TOO_LARGE = 413, "The body is over 64 KiB."
    UNSUPPORTED_MEDIA_TYPE = 415, "Send application/json, without a Content-Encoding."
    VALIDATION_ERROR = 422, "The request breaks a rule; see details."
    RATE_LIMITED = 429, "Too many sign-ins were refused from this address: try again after Retry-After."
    INTERNAL_ERROR = 500, "Something went wrong on our side."
    SERVICE_UNAVAILABLE = 503, "The console cannot answer now: try again."


_REALM: Final = 'Bearer realm="prequal console"'
NOT_TAKEN: Final = {"WWW-Authenticate": f'{_REALM}, error="invalid_token"'}
"""Of a token that was sent (RFC 6750, 3.1)."""
HEADERS: Mapping[Code, Mapping[str, str]] = {
    Code.UNAUTHENTICATED: {"WWW-Authenticate": _REALM},
    Code.FORBIDDEN: {"WWW-Authenticate": f'{_REALM}, error="insufficient_scope"'},
    Code.SERVICE_UNAVAILABLE: {"Retry-After": "2"},
}


class Problem(ApiError):
    """A request is refused, with the headers that belong to its code."""

    def __init__(
        self,
        code: Code,
        words: str | None = None,
        details: list[FieldIssue] | None = None,
        headers: Mapping[str, str] = {},
    ) -> None:
        super().__init__(code, details, {**HEADERS.get(code, {}), **headers}, words)


_CODES: tuple[tuple[tuple[type[Exception], ...], Code], ...] = (
    ((SignInRefused,), Code.UNAUTHENTICATED),
    ((NoSuchCase, NoSuchVersion, NoSuchDeadLetter), Code.NOT_FOUND),
    ((DiscardedBefore,), Code.CONFLICT),
    ((UnfitText, UsageError), Code.VALIDATION_ERROR),
    ((Transient, Misconfigured), Code.SERVICE_UNAVAILABLE),
    ((Refused,), Code.CONFLICT),
)
"""What each failure is, by the first row that fits; what is merely refused does not fit where the thing stands."""


def problem_of(failure: PrequalError | NotAPolicy) -> Problem:
    """A failure of the work as an answer."""
    if isinstance(failure, Problem):
        return failure
    if isinstance(failure, NotAPolicy):
        issues = [FieldIssue("document", str(each)) for each in failure.problems]
        return Problem(Code.VALIDATION_ERROR, "The document is no policy; see details.", issues)
    if isinstance(failure, TooManyRefused):
        return Problem(Code.RATE_LIMITED, headers=retry_after(failure))
    for kinds, code in _CODES:
        if isinstance(failure, kinds):
            return Problem(code, away(failure) if code is Code.SERVICE_UNAVAILABLE else str(failure))
    return Problem(Code.INTERNAL_ERROR)


def of_fields(errors: list[Any]) -> Problem:
    """What FastAPI found wrong with a request, without the values that were sent."""
    if any(each["type"] == "json_invalid" for each in errors):
        return Problem(Code.MALFORMED_REQUEST)
    issues = [FieldIssue(_place(each["loc"]), each["msg"].removeprefix("Value error, ")) for each in errors]
    return Problem(Code.VALIDATION_ERROR, details=issues)


def _place(parts: tuple[str | int, ...]) -> str:
    return ".".join(shown_name(str(part)) for part in parts[1:]) or str(parts[0])
