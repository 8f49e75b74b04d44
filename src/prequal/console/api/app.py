"""The ASGI application of the JSON API: who asks, how much is read, and one answer of the one shape, recorded, always.

Invariant: but for a sign-in, nothing of a body is read without the token of a living session; no cookie is looked at.
"""

from dataclasses import dataclass
from functools import cache
from itertools import chain
from time import perf_counter
from typing import Any, Final

import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from prequal import __version__
from prequal.api.access_record import AccessLog
from prequal.api.app import request_id_of
from prequal.api.errors import error_response
from prequal.api.masking import shown_path
from prequal.console.api import dead_letters, policy, review, session
from prequal.console.api.errors import NOT_TAKEN, Code, Problem, of_fields, problem_of
from prequal.console.api.rights import needs
from prequal.console.forms import BYTES_MAX
from prequal.console.methods import allowed
from prequal.console.rights import Right
from prequal.console.visit import Console, Visit, names_nothing
from prequal.core.errors import PrequalError
from prequal.domain.policy import reading
from prequal.domain.policy.problems import NotAPolicy
from prequal.people import sessions
from prequal.service.http_requests import TooLarge, TooSlow, combined, is_json, read_body
from prequal.telemetry.logs import correlation_id, where

log = structlog.get_logger()

PREFIX: Final = "/api/v1"
_PARTS: Final = (session, review, policy, dead_letters)
_DOCUMENTS: Final = {("POST", f"{PREFIX}/policy/{way}") for way in ("versions", "check", "backtests")}
"""What takes a policy document."""
_DOCUMENT_BYTES_MAX: Final = 6 * reading.BYTES_MAX + BYTES_MAX
"""Of a body with one, each byte of which may be written as an escape of six; the rest is for its other fields."""
_BEARER: Final = b"bearer "
_SIGN_INS: Final = {("POST", f"{PREFIX}/session{way}") for way in ("", "/issuer", "/issuer/attempts")}
_STATUSES: Final = {400: Code.MALFORMED_REQUEST, 404: Code.NOT_FOUND, 405: Code.METHOD_NOT_ALLOWED}


def build(console: Console) -> ASGIApp:
    """The whole JSON API, to be mounted at `PREFIX`."""
    return Envelope(_framework(), console)


@cache
def document() -> dict[str, Any]:
    """The OpenAPI document of the console's JSON API."""
    app = _framework()
    found = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes, servers=app.servers
    )
    found["info"]["license"] = {"name": "Apache-2.0", "identifier": "Apache-2.0"}
    description = "The token that a sign-in answers with. It ends as the console's sessions do."
    scheme = {"type": "http", "scheme": "bearer", "description": description}
    found["components"]["securitySchemes"] = {"person": scheme}
    found["security"] = [{"person": []}]
    return found


def _framework() -> FastAPI:
    app = FastAPI(
        title="Loan Prequalification: console",
        version=__version__,
        description="What people do with the service: review, policy, dead letters. `x-roles` says whose right it is.",
        servers=[{"url": PREFIX, "description": "The console that serves this document."}],
        redirect_slashes=False,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # its own would carry bodies and exceptions
    )
    for part in _PARTS:
        app.include_router(part.router)

    @app.get("/openapi.json", include_in_schema=False, **needs(Right.OVERVIEW))
    async def description() -> Response:
        return JSONResponse(document())

    app.add_exception_handler(PrequalError, _refused)
    app.add_exception_handler(NotAPolicy, _refused)
    app.add_exception_handler(Exception, _failed)
    app.add_exception_handler(HTTPException, _refused_by_framework)
    app.add_exception_handler(RequestValidationError, _unfit)
    return app


class Envelope:
    """Gives a request its id and its person, bounds its body, turns failures into answers, and records it."""

    def __init__(self, app: ASGIApp, console: Console) -> None:
        self._app = app
        self._console = console
        self._access_log = AccessLog(_route)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        answered = Answered(send, request_id_of(scope))
        scope["request_id"] = answered.request_id
        token = correlation_id.set(answered.request_id)
        began = perf_counter()
        try:
            scope["console"] = self._console
            if names_nothing(scope):
                raise Problem(Code.NOT_FOUND)
            if (scope["method"], scope["path"]) not in _SIGN_INS:
                scope["visit"] = await self._visit(scope, receive)
            body = await _body(scope, receive)
            await self._app(scope, _again(body, receive), answered)
        except PrequalError as failure:
            await _answer(problem_of(failure), scope)(scope, receive, answered)
        except ClientDisconnect:
            answered.status = 499
            raise
        except Exception as bug:
            log.error("console_api_failed", path=shown_path(scope["path"]), error=where(bug))
            if answered.status is None:
                await _answer(Problem(Code.INTERNAL_ERROR), scope)(scope, receive, answered)
        finally:
            self._access_log.record(scope, answered.status or 500, (), perf_counter() - began)
            correlation_id.reset(token)

    async def _visit(self, scope: Scope, receive: Receive) -> Visit:
        token = _token(scope)
        if token is None:
            raise Problem(Code.UNAUTHENTICATED)
        async with self._console.pool.use("console_session") as connection:
            found = await sessions.use(connection, token, self._console.settings.console_idle_minutes * 60)
        if found is None:
            raise Problem(Code.UNAUTHENTICATED, headers=NOT_TAKEN)
        return Visit(self._console, Request(scope, receive), found, token)


@dataclass(slots=True)
class Answered:
    """`send`, which adds `X-Request-ID`, and remembers the status, None until an answer has begun."""

    send: Send
    request_id: str
    status: int | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message["headers"], (b"x-request-id", self.request_id.encode())]
        await self.send(message)


def _route(scope: Scope) -> str:
    """The template of the path that was asked for, where there is one and its person was let in."""
    route = scope.get("route")
    return f"{PREFIX}{route.path}" if isinstance(route, APIRoute) else "other"


def _token(scope: Scope) -> str | None:
    """The one token that a request carries."""
    given: list[bytes] = [value for name, value in scope["headers"] if name == b"authorization"]
    if len(given) != 1 or given[0][: len(_BEARER)].lower() != _BEARER:
        return None
    return given[0][len(_BEARER) :].strip(b" ").decode("latin-1")


async def _body(scope: Scope, receive: Receive) -> bytes:
    most = _DOCUMENT_BYTES_MAX if (scope["method"], scope["path"]) in _DOCUMENTS else BYTES_MAX
    try:
        body = await read_body(Request(scope, receive), most)
    except TooLarge:
        words = f"The body is over {most // 1024} KiB."
        raise Problem(Code.PAYLOAD_TOO_LARGE, words, headers={"Connection": "close"}) from None
    except TooSlow:
        raise Problem(Code.REQUEST_TIMEOUT, headers={"Connection": "close"}) from None
    if body and not is_json(combined(scope["headers"])):
        raise Problem(Code.UNSUPPORTED_MEDIA_TYPE)
    return body


def _again(body: bytes, receive: Receive) -> Receive:
    """`receive`, which gives a body that was read already."""
    parts: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def given() -> Message:
        return parts.pop() if parts else await receive()

    return given


def _answer(problem: Problem, scope: Scope) -> Response:
    return error_response(problem, scope["request_id"], scope["path"])


async def _refused(request: Request, failure: Any) -> Response:
    return _answer(problem_of(failure), request.scope)


async def _failed(request: Request, _: Exception) -> Response:
    return await _refused(request, Problem(Code.INTERNAL_ERROR))


async def _refused_by_framework(request: Request, error: Any) -> Response:
    code, headers = _STATUSES.get(error.status_code, Code.INTERNAL_ERROR), error.headers or {}
    if code is Code.METHOD_NOT_ALLOWED:
        headers = {"Allow": allowed(chain.from_iterable(part.router.routes for part in _PARTS), request.scope)}
    return await _refused(request, Problem(code, headers=headers))


async def _unfit(request: Request, error: Any) -> Response:
    return await _refused(request, of_fields(error.errors()))
