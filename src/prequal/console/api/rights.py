"""How a path of the JSON API says which right it needs, by the same table as the pages.

Invariant: a path that names no right has no person, and so can do nothing.
"""

from typing import Annotated, Any, Final, TypeAlias

from fastapi import Depends, Request

from prequal.console.api.errors import Code, Problem
from prequal.console.api.models import Error
from prequal.console.rights import RIGHTS, Right, may
from prequal.console.visit import Visit

ANSWERS: Final = {
    400: Code.MALFORMED_REQUEST.words,
    401: "No token, or one whose session has ended.",
    403: Code.FORBIDDEN.words,
    404: "There is no such thing.",
    409: "It does not fit where the thing stands; the message says why, and nothing was done.",
    422: "What was sent breaks a rule; nothing was done.",
    429: "Too many sign-ins by the issuer were refused from this address.",
    503: "The database or Kafka does not answer.",
}
REFUSALS: Final[dict[int | str, dict[str, Any]]] = {
    status: {"description": words, "model": Error} for status, words in ANSWERS.items()
}


def needs(right: Right) -> dict[str, Any]:
    """The arguments of a route that only people with a right may use."""

    def check(request: Request) -> None:
        if not may(request.scope["visit"].session.roles, right):
            raise Problem(Code.FORBIDDEN)

    return {
        "dependencies": [Depends(check)],
        "responses": REFUSALS,
        "openapi_extra": {"x-roles": sorted(RIGHTS[right])},
    }


def _visit(request: Request) -> Visit:
    found: Visit = request.scope["visit"]
    return found


Visiting: TypeAlias = Annotated[Visit, Depends(_visit)]
"""The request of a signed-in person."""
