"""What every process answers over HTTP: is it alive, can it work, what does it count.

Neighbours: the three workers serve `probes`; the API mounts the same routes among its own.
Invariant: an answer is given from what is known already; no probe waits for a dependency.
"""

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from prequal.kernel import metrics
from prequal.kernel.errors import Misconfigured
from prequal.kernel.readiness import Readiness
from prequal.kernel.settings import ServiceSettings

BACKLOG = 2048

Handler = Callable[[Request], Awaitable[Response]]


def health_handlers(exporter: metrics.Exporter, service: str, readiness: Readiness) -> dict[str, Handler]:
    """The three answers, by path."""
    labelled: Any = metrics.Labelled(exporter, service)

    async def health(_: Request) -> Response:
        return JSONResponse({"status": "healthy"})

    async def ready(_: Request) -> Response:
        status, body = readiness.answer()
        return JSONResponse(body, status_code=status, headers={"Cache-Control": "no-store"})

    async def show_metrics(_: Request) -> Response:
        return Response(generate_latest(labelled), headers={"Content-Type": CONTENT_TYPE_LATEST})

    return {"/health": health, "/ready": ready, "/metrics": show_metrics}


def probes(exporter: metrics.Exporter, service: str, readiness: Readiness) -> Starlette:
    """A worker's whole HTTP face."""
    handlers = health_handlers(exporter, service, readiness)
    return Starlette(routes=[Route(path, handler) for path, handler in handlers.items()])


async def serve(
    app: Any,
    settings: ServiceSettings,
    stop: asyncio.Event,
    beside: Starlette,
    protocol: type[HttpToolsProtocol] = HttpToolsProtocol,
) -> None:
    """Answer until `stop`, then let requests in flight finish; at `PROMETHEUS_PORT`, if it is another, with `beside`.

    Raises:
        Misconfigured: a port is taken.
    """
    servers = [_serve_one(app, settings, stop, bind(settings.http_host, settings.http_port, "HTTP_PORT"), protocol)]
    if settings.prometheus_port is not None and settings.prometheus_port != settings.http_port:
        listener = bind(settings.http_host, settings.prometheus_port, "PROMETHEUS_PORT")
        servers.append(_serve_one(beside, settings, stop, listener, HttpToolsProtocol))
    await asyncio.gather(*servers)


async def _serve_one(
    app: Any, settings: ServiceSettings, stop: asyncio.Event, listener: socket.socket, protocol: type[HttpToolsProtocol]
) -> None:
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        proxy_headers=False,
        http=protocol,
        ws="none",
        backlog=BACKLOG,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=int(settings.shutdown_seconds),
    )
    server = _Server(config)
    waiter = asyncio.create_task(_tell(server, stop))
    try:
        await server.serve(sockets=[listener])
    finally:
        waiter.cancel()


class _Server(uvicorn.Server):
    """A uvicorn that leaves the signals to the process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _tell(server: uvicorn.Server, stop: asyncio.Event) -> None:
    await stop.wait()
    server.should_exit = True


def bind(host: str, port: int, setting: str) -> socket.socket:
    """A socket that listens already, so that of two processes that want the port one is told; or a sentence.

    Raises:
        Misconfigured: the port is taken or the address is not ours.
    """
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise Misconfigured(
            f"Port {port} on {host} cannot be used ({error.strerror}): stop what holds it, or set {setting}."
        ) from None
    return listener
