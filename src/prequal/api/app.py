"""The API's ASGI application: one envelope round every request, and FastAPI within it.

Invariant: whatever happens inside, the caller gets one answer of the one shape, with `X-Request-ID`.
"""

import functools
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from time import perf_counter
from typing import Any

import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from prometheus_client import Counter, Histogram
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from prequal import __version__
from prequal.api import docs_pages
from prequal.api.access_record import READ_PATH, AccessLog, route_of
from prequal.api.errors import ApiError, ErrorCode, error_response, retry_after
from prequal.api.masking import is_safe_id, shown_path
from prequal.api.openapi import document
from prequal.api.posts import ClientGone
from prequal.api.refusals import Refusals
from prequal.api.submit import Submissions
from prequal.domain.times import rfc3339
from prequal.postgres.ids import new_text
from prequal.service import http_answers
from prequal.telemetry import metrics
from prequal.telemetry.logs import correlation_id, where
from prequal.telemetry.metrics import DECISION_ROUTE, STATUS_ROUTE, SUBMIT_ROUTE

log = structlog.get_logger()

SANE_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

CLIENTS_NAMED_MAX = 100
"""So many clients have series of their own."""

_FRAMEWORK_CODES = {404: ErrorCode.NOT_FOUND, 405: ErrorCode.METHOD_NOT_ALLOWED}

Handler = Callable[[Request], Awaitable[Response]]


def build(
    submit: ASGIApp,
    show_status: ASGIApp,
    show_decision: ASGIApp,
    health: dict[str, Handler],
    submissions: Submissions,
    *,
    pages: bool = True,
) -> "Envelope":
    """The whole application: our routes in a FastAPI, in the envelope.

    Args:
        submit: the POST of an application.
        show_status: the GET of its status.
        show_decision: the GET of its decision.
        health: the probes, by path.
        submissions: asked whether there is room for one more application, before its body is read.
        pages: whether the API's description and its pages are shown. What has no route is a 404.
    """
    app = FastAPI(
        title=docs_pages.TITLE,
        version=__version__,
        redirect_slashes=False,
        openapi_url="/openapi.json" if pages else None,
        docs_url=None,
        redoc_url=None,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # its own would carry bodies and exceptions
    )
    routes: list[BaseRoute] = [
        Route(SUBMIT_ROUTE, submit, methods=["POST"]),
        Route(STATUS_ROUTE, show_status, methods=["GET"]),
        Route(DECISION_ROUTE, show_decision, methods=["GET"]),
        *(Route(path, handler, methods=["GET"]) for path, handler in health.items()),
        *(docs_pages.routes() if pages else ()),
    ]
    app.router.routes[:0] = routes
    app.openapi = document  # type: ignore[method-assign]
    app.add_exception_handler(HTTPException, _refused_by_framework)
    app.add_exception_handler(RequestValidationError, _refused_by_framework)
    app.add_exception_handler(Exception, _failed)
    return Envelope(app, submit, {"status": show_status, "decision": show_decision}, submissions)


def build_admin(health: Mapping[str, Handler]) -> Starlette:
    """What is shown at a port that callers do not reach: the probes whole, the metrics, and the pages."""

    async def description(_: Request) -> Response:
        return JSONResponse(document())

    probes = [Route(path, handler, methods=["GET"]) for path, handler in health.items()]
    return Starlette(routes=[*probes, Route("/openapi.json", description, methods=["GET"]), *docs_pages.routes()])


class Envelope:
    """Gives each request its id, counts, times and records it, and handles an error that nothing else handled.

    The paths of applications are served past the framework, whose layers cost as much as all the rest of a POST.
    """

    def __init__(self, app: ASGIApp, submit: ASGIApp, reads: Mapping[str, ASGIApp], submissions: Submissions) -> None:
        self._app = app
        self._submit = submit
        self._reads = reads
        self.submissions = submissions
        self.refusals = Refusals()
        self._in_progress = 0
        self._access_log = AccessLog()
        self._clients = ClientRequests()
        metrics.HTTP_IN_PROGRESS.set_function(lambda: self._in_progress)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        request_id = scope["request_id"] = request_id_of(scope)
        token = correlation_id.set(request_id)
        sending = _Sending(send, request_id)
        self._in_progress += 1
        began = perf_counter()
        try:
            await self._handler(scope)(scope, receive, sending)
        except ClientGone:
            sending.status = 499
        except ApiError as refusal:
            await error_response(refusal, request_id, scope["path"])(scope, receive, sending)
        except Exception as error:
            log.error("request_failed", error=where(error), path=shown_path(scope["path"]))
            if sending.status is None:
                failure = error_response(ApiError(ErrorCode.INTERNAL_ERROR), request_id, scope["path"])
                await failure(scope, receive, sending)
        finally:
            self._in_progress -= 1
            seconds = perf_counter() - began
            _count(scope, sending.status, seconds)
            if client := scope.get("api_client"):
                self._clients.count(client, sending.status)
            self._access_log.record(scope, sending.status or 500, sending.headers, seconds)
            correlation_id.reset(token)

    def _handler(self, scope: Scope) -> ASGIApp:
        path, method = scope["path"], scope["method"]
        if method == "POST" and path == SUBMIT_ROUTE:
            return self._submit
        if method in ("GET", "HEAD") and (found := READ_PATH.fullmatch(path)):
            scope["path_params"] = found.groupdict()
            return self._reads[found["what"]]
        return self._app

    def alive(self, scope: Scope) -> bytes:
        """The whole answer to whether the process lives, counted as any other."""
        _count(scope, 200, 0.0)
        headers = {"Content-Type": "application/json", "X-Request-ID": request_id_of(scope)}
        return http_answers.answer(200, b'{"status":"healthy"}', headers)

    def refuse(self, scope: Scope, seconds: float) -> bytes:
        """The whole answer to an application that is not admitted, after so long, counted and recorded as any other."""
        request_id = scope["request_id"] = request_id_of(scope)
        before, between, after = _unavailable()
        body = b"".join((before, request_id.encode(), between, rfc3339(datetime.now(UTC)).encode(), after))
        metrics.SHED.inc()
        _count(scope, 503, seconds)
        self._access_log.record(scope, 503, (), seconds)
        wait = retry_after(ErrorCode.SERVICE_UNAVAILABLE, self.refusals.seconds_ahead())
        headers = {**wait, "X-Request-ID": request_id}
        return http_answers.answer(503, body, {"Content-Type": "application/json", **headers})

    def refused_unread(self, status: int, request_id: str, client: tuple[str, int] | None) -> None:
        """Count and record what was refused before it was a request; nothing of it is known but who sent it."""
        metrics.HTTP_REQUESTS.labels("other", "other", str(status)).inc()
        scope = {"method": "other", "path": "other", "request_id": request_id, "client": client}
        self._access_log.record(scope, status, (), None)


@functools.cache
def _unavailable() -> tuple[bytes, bytes, bytes]:
    """The body of the 503 of an application: before its request id, between that and its time, and after that."""
    body = bytes(error_response(ApiError(ErrorCode.SERVICE_UNAVAILABLE), "@", SUBMIT_ROUTE).body)
    before, _, rest = body.partition(b"@")
    between, _, after = rest.partition(json.loads(body)["timestamp"].encode())
    return before, between, after


class _Sending:
    """`send`, remembering the status and adding `X-Request-ID`."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._request_id = request_id
        self.status: int | None = None
        self.headers: list[tuple[bytes, bytes]] = []

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = message["headers"] = [*message["headers"], (b"x-request-id", self._request_id.encode())]
        await self._send(message)


def request_id_of(scope: Scope) -> str:
    """The id that the caller sent, where it is fit to be shown and logged; otherwise a new one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            text: str = value.decode("latin-1")
            if SANE_REQUEST_ID.fullmatch(text) and is_safe_id(text):
                return text
    return new_text()


def _count(scope: Scope, status: int | None, seconds: float) -> None:
    route, method = route_of(scope["path"]), scope["method"]
    method = method if method in {"GET", "POST", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"} else "other"
    requests, durations = _series(method, route, status or 500)
    requests.inc()
    durations.observe(seconds)


@functools.cache
def _series(method: str, route: str, status: int) -> tuple[Counter, Histogram]:
    """Where requests of this kind are counted; a closed set, looked up once each."""
    return (
        metrics.HTTP_REQUESTS.labels(method, route, str(status)),
        metrics.HTTP_SECONDS.labels(method, route, _outcome(status)),
    )


def _outcome(status: int) -> str:
    return "ok" if status < 400 else "refused" if status < 500 else "failed"


class ClientRequests:
    """Counts the requests of each client."""

    def __init__(self) -> None:
        self._series: dict[tuple[str, str], Counter] = {}
        self._named: set[str] = set()

    def count(self, client: str, status: int | None) -> None:
        """Count a request that was answered with `status`."""
        outcome = _outcome(status or 500)
        series = self._series.get((client, outcome))
        if series is None:
            if len(self._named) < CLIENTS_NAMED_MAX:
                self._named.add(client)
            label = client if client in self._named else "other"
            series = self._series[client, outcome] = metrics.CLIENT_REQUESTS.labels(label, outcome)
        series.inc()


async def _failed(request: Request, _: Exception) -> Response:
    return _refused(request, ApiError(ErrorCode.INTERNAL_ERROR))


async def _refused_by_framework(request: Request, error: Any) -> Response:
    code = _FRAMEWORK_CODES.get(getattr(error, "status_code", 422), ErrorCode.VALIDATION_ERROR)
    return _refused(request, ApiError(code, headers=getattr(error, "headers", None) or {}))


def _refused(request: Request, error: ApiError) -> Response:
    return error_response(error, request.scope["request_id"], request.scope["path"])
