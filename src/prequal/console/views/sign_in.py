"""Signing in and out.

Invariant: a sign-in makes a new session and ends the one that the browser had.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from prequal.console.away import away
from prequal.console.cookies import form_token, is_own, new_visitor
from prequal.console.forms import BadForm, read_form
from prequal.console.sign_in_limit import retry_after
from prequal.console.visit import Console, host_of, own_path
from prequal.core.errors import Transient
from prequal.people import sessions
from prequal.people.sign_in import SignInRefused, TooManyRefused

NOTHING: Final[Mapping[str, str]] = MappingProxyType({})
STILL = "Still signed in"
EXPIRED = "This form had expired. Please send it again."


def routes(console: Console) -> list[Route]:
    """The form, its sending, and the way out."""

    async def show(request: Request) -> Response:
        return _form(console, request)

    async def sign_in(request: Request) -> Response:
        return await _sign_in(console, request)

    async def sign_out(request: Request) -> Response:
        return await _sign_out(console, request)

    return [
        Route("/sign-in", show, methods=["GET"]),
        Route("/sign-in", sign_in, methods=["POST"]),
        Route("/sign-out", sign_out, methods=["POST"]),
    ]


def _form(
    console: Console, request: Request, words: str = "", status: int = 200, typed: Mapping[str, str] = NOTHING
) -> Response:
    cookies, wanted = console.cookies, typed.get("next") or request.query_params.get("next", "")
    visitor = cookies.of(request, cookies.visitor) or new_visitor()
    ways = {"issuer": urlsplit(console.settings.oidc_issuer).netloc, "passwords": console.settings.console_passwords}
    shown: dict[str, Any] = {"csrf": form_token(visitor), "words": words, "typed": typed, "wanted": wanted, **ways}
    response = console.page("sign_in.html", status, None, **shown)
    cookies.set(response, cookies.visitor, visitor)
    return response


async def _sign_in(console: Console, request: Request) -> Response:
    cookies = console.cookies
    try:
        form = await read_form(request)
        if not is_own(cookies.of(request, cookies.visitor), form):
            return _form(console, request, EXPIRED, 403, form)
        given = (form.get("name", ""), form.get("password", ""), form.get("code", ""))
        token = await console.sign_in(*given, host_of(request))
        await _end(console, cookies.of(request, cookies.session))
    except SignInRefused as refused:
        return _form(console, request, str(refused), 401, form)
    except TooManyRefused as refused:
        limited = _form(console, request, str(refused), 429, form)
        limited.headers.update(retry_after(refused))
        return limited
    except BadForm as bad:
        return _form(console, request, str(bad), 400)
    except Transient as problem:
        return _form(console, request, away(problem), 503, form)
    response = RedirectResponse(own_path(form.get("next", "")), 303)
    cookies.set(response, cookies.session, token)
    cookies.clear(response, cookies.visitor)
    return response


async def _sign_out(console: Console, request: Request) -> Response:
    cookies = console.cookies
    token = cookies.of(request, cookies.session)
    try:
        if not is_own(token, await read_form(request)):
            return console.page("problem.html", 403, None, title=STILL, words="Reload the page, and sign out there.")
        await _end(console, token)
    except BadForm as bad:
        return console.page("problem.html", 400, None, title=STILL, words=str(bad))
    except Transient as problem:
        return console.page("problem.html", 503, None, title=STILL, words=away(problem))
    response = RedirectResponse("/sign-in", 303)
    cookies.clear(response, cookies.session)
    return response


async def _end(console: Console, token: str) -> None:
    if token:
        console.last_shown.end(token)
        async with console.pool.use("console_session") as connection:
            await sessions.end(connection, token)
