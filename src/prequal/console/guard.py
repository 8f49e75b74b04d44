"""Before a page: who asks, may he, and is the form one of ours; after it: what went wrong, as a page.

Invariant: nothing is done, and nothing stored is shown, without a session, the right, and, of a form, its token.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from prequal.console.away import away
from prequal.console.cookies import FIELD, form_token, is_own
from prequal.console.forms import BYTES_MAX, BadForm, read_form
from prequal.console.rights import Right, may
from prequal.console.visit import Console, Visit, asked_from, names_nothing
from prequal.core.errors import Misconfigured, PrequalError, Refused, Transient, UsageError
from prequal.people import sessions
from prequal.people.sessions import Session
from prequal.telemetry.logs import where

log = structlog.get_logger()

SIGN_IN: Final = "/sign-in"
Handler = Callable[[Visit], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Page:
    """A path, what it needs, and what answers it."""

    path: str
    right: Right
    handler: Handler
    method: str = "GET"
    bytes_max: int = BYTES_MAX
    """Of its form."""

    def route(self, console: Console) -> Route:
        """The route, guarded."""

        async def endpoint(request: Request) -> Response:
            if names_nothing(request.scope):
                return console.problem(request, 404, None, "Nothing here", "There is no such page.")
            return await _answer(console, self, request)

        return Route(self.path, endpoint, methods=[self.method])


async def _answer(console: Console, page: Page, request: Request) -> Response:
    session, form, token = None, dict[str, str](), console.cookies.of(request, console.cookies.session)
    try:
        session = await _session(console, token)
        if session is None:
            return await _signed_out(console, page, request)
        if not may(session.roles, page.right):
            return console.problem(request, 403, session, "Not yours", "Your roles have no right to it.")
        if page.method == "POST":
            form = await read_form(request, page.bytes_max)
        if page.method == "POST" and not is_own(token, form):
            return _not_sent(console, request, form, 403, session, token)
        answer = await page.handler(Visit(console, request, session, token, form))
        if page.method == "GET" and answer.status_code == 200:
            console.last_shown.keep(token, _as_shown(request), bytes(answer.body), session)
        return answer
    except (Transient, Misconfigured) as problem:
        log.warning("page_unavailable", error=where(problem))
        if page.method == "POST":
            return await _not_reached(console, page, request, form, session, token, away(problem))
        return _out_of_reach(console, request, session, token, away(problem))
    except PrequalError as problem:
        return _problem(console, request, session, problem)
    except Exception as bug:
        return _fault(console, page, request, session, bug)


async def _session(console: Console, token: str) -> Session | None:
    if not token:
        return None
    async with console.pool.use("console_session") as connection:
        session = await sessions.use(connection, token, console.settings.console_idle_minutes * 60)
    if session is None:
        console.last_shown.end(token)
    return session


async def _signed_out(console: Console, page: Page, request: Request) -> Response:
    """On to the sign-in; of a form, what was typed stays on the page, to go on with after it."""
    if request.method == "POST":
        return _not_sent(console, request, await read_form(request, page.bytes_max), 401)
    return RedirectResponse(_sign_in_for(_address(request)), 303)


def _not_sent(
    console: Console,
    request: Request,
    form: Mapping[str, str],
    status: int,
    session: Session | None = None,
    token: str = "",
    words: str = "",
) -> Response:
    """A form that was not taken, with what was typed; `words` says why, unless it was for want of a session."""
    typed = {name: value for name, value in form.items() if value and name != FIELD and "password" not in name}
    sign_in = _sign_in_for(asked_from(request))
    shown = {"address": _address(request), "typed": typed, "sign_in": sign_in, "words": words}
    shown["csrf"] = form_token(token) if token else ""
    return console.page("not_sent.html", status, session, **shown)


async def _not_reached(
    console: Console,
    page: Page,
    request: Request,
    form: Mapping[str, str],
    session: Session | None,
    token: str,
    words: str,
) -> Response:
    """A form while a store is away. Of another site's, nothing that could be sent from here is shown."""
    try:
        form = form or await read_form(request, page.bytes_max)
    except BadForm as why:
        return _problem(console, request, session, why)
    own = token if is_own(token, form) else ""
    return _not_sent(console, request, form, 503, session, own, words)


def _out_of_reach(console: Console, request: Request, session: Session | None, token: str, words: str) -> Response:
    """A page while a store is away: as this session was shown it last, if it was."""
    if shown := console.last_shown.of(token, _as_shown(request)):
        return console.shown_again(shown, words)
    return console.problem(request, 503, session, "Out of reach", words, heals=True)


def _fault(console: Console, page: Page, request: Request, session: Session | None, bug: Exception) -> Response:
    """A failure that nobody foresaw, as a page; of a browser that hung up, as it is: that is no fault."""
    if isinstance(bug, ClientDisconnect):
        raise bug
    log.error("page_failed", path=page.path, error=where(bug))
    words = "The console failed at this page. It is in its log."
    return console.problem(request, 500, session, "A fault of ours", words)


def _address(request: Request) -> str:
    return request.url.path + (f"?{request.url.query}" if request.url.query else "")


def _as_shown(request: Request) -> str:
    """A page's address, whether an act led to it or not."""
    url = request.url.remove_query_params("done")
    return f"{url.path}?{url.query}"


def _sign_in_for(page: str) -> str:
    """The address of the sign-in that leads on to a page."""
    return SIGN_IN if page in ("", "/") else f"{SIGN_IN}?next={quote(page)}"


def _problem(console: Console, request: Request, session: Session | None, problem: PrequalError) -> Response:
    """A failure as a page: who has to do something about it decides the status."""
    if isinstance(problem, BadForm):
        return console.problem(request, 400, session, "Not sent", str(problem))
    if isinstance(problem, (UsageError, Refused)):
        return console.problem(request, 409, session, "Not done", str(problem))
    raise problem
