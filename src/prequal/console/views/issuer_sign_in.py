"""Signing in by an issuer: the way there, and the way back.

Invariant: a session begins for an answer that this browser asked for; a stranger learns nothing of who works here.
"""

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from prequal.console.issuer_refusals import refusal_of
from prequal.console.visit import Console, host_of, own_path
from prequal.core.errors import PrequalError, Refused, Transient
from prequal.core.settings.checks import SIGN_IN_CALLBACK
from prequal.issuers.code_flow import ATTEMPT_SECONDS, CodeFlow
from prequal.people import sessions
from prequal.people.issuer_sign_in import IssuerSignIn
from prequal.telemetry import metrics

BEGIN = "/sign-in/issuer"


def routes(console: Console) -> list[Route]:
    """Both ways; none where no issuer is set."""
    sign_in = console.issuer_sign_in
    if sign_in is None:
        return []

    async def begin(request: Request) -> Response:
        try:
            return await _begin(console, sign_in.flow, request)
        except Transient as problem:
            return _refused(console, problem)

    async def finish(request: Request) -> Response:
        try:
            response = await _finish(console, sign_in, request)
        except (Refused, Transient) as problem:
            response = _refused(console, problem)
        console.cookies.clear(response, console.cookies.attempt)
        return response

    return [Route(BEGIN, begin, methods=["GET"]), Route(SIGN_IN_CALLBACK, finish, methods=["GET"])]


async def _begin(console: Console, flow: CodeFlow, request: Request) -> Response:
    """On to the issuer; who is signed in already is led on at once."""
    cookies, wanted = console.cookies, own_path(request.query_params.get("next", ""))
    if token := cookies.of(request, cookies.session):
        async with console.pool.use("console_session") as connection:
            if await sessions.living(connection, token):
                return RedirectResponse(wanted, 303)
    attempt, address = flow.begin(wanted)
    response = RedirectResponse(address, 303)
    cookies.set_attempt(response, attempt, ATTEMPT_SECONDS)
    return response


async def _finish(console: Console, sign_in: IssuerSignIn, request: Request) -> Response:
    cookies, given = console.cookies, dict(request.query_params)
    attempt = sign_in.flow.verified_attempt(cookies.of(request, cookies.attempt), given)
    token = await sign_in(attempt, given, host_of(request))
    metrics.ISSUER_SIGN_INS.labels("done").inc()
    # A redirect would go on from the issuer's site, and a browser sends no cookie of SameSite=Strict along with that.
    response = console.page("signed_in.html", 200, None, wanted=own_path(attempt.wanted))
    cookies.set(response, cookies.session, token)
    cookies.clear(response, cookies.visitor)
    return response


def _refused(console: Console, problem: PrequalError) -> Response:
    refusal = refusal_of(problem)
    words = {"title": "Not signed in", "words": refusal.words, "back": "/sign-in"}
    response = console.page("problem.html", refusal.status, None, **words)
    response.headers.update(refusal.headers)
    return response
