"""Sign-in for a bearer token, by name, password and second factor or by an issuer; sign-out, and who one is."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from prequal.console.api.errors import Code, Problem
from prequal.console.api.rights import REFUSALS, Visiting, needs
from prequal.console.api.session_models import (
    BegunAttempt,
    Credentials,
    IssuerAnswer,
    IssuerAttempt,
    Person,
    SignedIn,
)
from prequal.console.issuer_refusals import refusal_of
from prequal.console.rights import RIGHTS, Right
from prequal.console.visit import Console, host_of
from prequal.core.errors import Refused, Transient
from prequal.people import sessions
from prequal.people.issuer_sign_in import IssuerSignIn
from prequal.people.sessions import Session
from prequal.telemetry import metrics

router = APIRouter(prefix="/session", tags=["session"])
WITHOUT_TOKEN: dict[str, Any] = {"security": []}
_CODES = {401: Code.UNAUTHENTICATED, 429: Code.RATE_LIMITED, 503: Code.SERVICE_UNAVAILABLE}


@router.post("", status_code=201, responses=REFUSALS, openapi_extra=WITHOUT_TOKEN)
async def sign_in(request: Request, given: Credentials) -> SignedIn:
    """Sign in: the answer's token is the session, until it is idle for long, too old, or ended."""
    console: Console = request.scope["console"]
    token = await console.sign_in(given.name, given.password.get_secret_value(), given.code, host_of(request))
    return await _signed_in(console, token)


@router.post("/issuer/attempts", status_code=201, responses=REFUSALS, openapi_extra=WITHOUT_TOKEN)
async def begin_by_issuer(request: Request, given: IssuerAttempt) -> BegunAttempt:
    """Begin a sign-in by the issuer, in a browser of the machine where one waits at a port of 127.0.0.1."""
    sign_in = _issuer_sign_in(request)
    try:
        attempt, address = sign_in.flow.begin("", given.port)
    except Transient as problem:
        raise _problem(problem) from None
    return BegunAttempt(attempt=attempt, address=address)


@router.post("/issuer", status_code=201, responses=REFUSALS, openapi_extra=WITHOUT_TOKEN)
async def sign_in_by_issuer(request: Request, given: IssuerAnswer) -> SignedIn:
    """Sign in by what the issuer sent to that port; the answer's token is a session as any other."""
    sign_in, said = _issuer_sign_in(request), given.model_dump(exclude={"attempt"}, exclude_none=True)
    try:
        attempt = sign_in.flow.verified_attempt(given.attempt, said, command_line=True)
        token = await sign_in(attempt, said, host_of(request))
    except (Refused, Transient) as problem:
        raise _problem(problem) from None
    metrics.ISSUER_SIGN_INS.labels("done").inc()
    return await _signed_in(request.scope["console"], token)


@router.get("", **needs(Right.OVERVIEW))
async def who_am_i(visit: Visiting) -> Person:
    """Whose token this is, and what may be done with it."""
    return _person(visit.session)


@router.delete("", status_code=204, **needs(Right.OVERVIEW))
async def sign_out(visit: Visiting) -> Response:
    """End this session."""
    async with visit.console.pool.use("console_session") as connection:
        await sessions.end(connection, visit.token)
    return Response(status_code=204)


def _person(session: Session) -> Person:
    rights = sorted(right.value for right, roles in RIGHTS.items() if not roles.isdisjoint(session.roles))
    return Person(person=session.person, roles=sorted(session.roles), rights=rights)


async def _signed_in(console: Console, token: str) -> SignedIn:
    """Whose session has just begun.

    Raises:
        Problem: it has ended already, such as by a new password.
    """
    async with console.pool.use("console_session") as connection:
        found = await sessions.use(connection, token, console.settings.console_idle_minutes * 60)
    if found is None:
        raise Problem(Code.UNAUTHENTICATED)
    return SignedIn(token=token, person=found.person, roles=sorted(found.roles))


def _issuer_sign_in(request: Request) -> IssuerSignIn:
    found: IssuerSignIn | None = request.scope["console"].issuer_sign_in
    if found is None:
        raise Problem(Code.NOT_FOUND, "People sign in by no issuer here.")
    return found


def _problem(failure: Refused | Transient) -> Problem:
    refusal = refusal_of(failure)
    return Problem(_CODES[refusal.status], refusal.words, headers=refusal.headers)
