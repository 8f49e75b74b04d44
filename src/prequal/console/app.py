"""The console's ASGI application: its routes, its style sheet and script, and the headers of every answer.

Invariant: no answer may run a script but the console's own file, load anything of another host, or be framed; and none
but the style sheet, the script and the icon may be cached.
"""

from collections.abc import Mapping
from importlib.resources import files
from typing import Any, Final

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from prequal.console.api import app as api
from prequal.console.guard import Page
from prequal.console.live import Live, LivePage
from prequal.console.methods import allowed
from prequal.console.views import (
    applications,
    clients,
    dead_letters,
    issuer_sign_in,
    overview,
    people,
    policy,
    record,
    review,
    sign_in,
    system,
    try_it,
)
from prequal.console.visit import Console
from prequal.service.http_requests import gone
from prequal.service.http_server import Handler

PAGES: Final[tuple[Page, ...]] = (
    *overview.PAGES,
    *applications.PAGES,
    *review.PAGES,
    *policy.PAGES,
    *dead_letters.PAGES,
    *record.PAGES,
    *system.PAGES,
    *clients.PAGES,
    *people.PAGES,
    *try_it.PAGES,
)

LIVE: Final[tuple[LivePage, ...]] = (*overview.LIVE, *applications.LIVE, *review.LIVE, *system.LIVE, *try_it.LIVE)

HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def build(console: Console, health: dict[str, Handler]) -> ASGIApp:
    """The whole application: the pages, and beside them the JSON API and the probes."""

    async def missing(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        words = "There is no such page." if status == 404 else "This page does not do that."
        page = console.page("problem.html", status, None, title="Nothing here", words=words)
        if status == 405:
            page.headers["Allow"] = allowed(routes, request.scope)
        return page

    live = Live(console)
    routes: list[BaseRoute] = [
        *(Route(path, handler, methods=["GET"]) for path, handler in health.items()),
        *sign_in.routes(console),
        *issuer_sign_in.routes(console),
        *(page.route(console) for page in PAGES),
        *(live.route(page) for page in LIVE),
        Mount(api.PREFIX, api.build(console)),
        Mount("/static", StaticFiles(directory=str(files("prequal.console") / "static"))),
    ]
    handlers: Mapping[Any, Any] = {HTTPException: missing, ClientDisconnect: gone}
    return SecurityHeaders(Starlette(routes=routes, exception_handlers=handlers))


class SecurityHeaders:
    """Adds to every answer the headers that bound what a browser does with it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        secured = {"Strict-Transport-Security": "max-age=31536000"} if scope.get("scheme") == "https" else {}
        kept = "max-age=3600" if scope.get("path", "").startswith("/static/") else "no-store"

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(HEADERS | {"Cache-Control": kept} | secured)
            await send(message)

        await self._app(scope, receive, with_headers)
