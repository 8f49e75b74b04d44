"""What every process answers over HTTP: is it alive, can it work, what does it count.

Invariant: an answer is given from what is known already; no probe waits for a dependency.
"""

import asyncio
import contextlib
import functools
import itertools
import json
import math
import socket
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from typing import Protocol as Shape

import structlog
import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from prequal.core.errors import Misconfigured
from prequal.core.lifecycle import beside, pause
from prequal.core.topology import Service
from prequal.service.http_connections import ACCEPTED_AT_ONCE, UNREAD_SECONDS, Connections, limits
from prequal.service.http_protocol import Protocol
from prequal.service.http_silence import Silent
from prequal.service.http_tls import HANDSHAKE_SECONDS, HttpCertificate
from prequal.service.readiness import Readiness
from prequal.telemetry import metrics
from prequal.telemetry.shown import Labelled

log = structlog.get_logger()

BACKLOG = 2048
ACCEPT_AGAIN_SECONDS = 1.0
"""After which connections are accepted again when the kernel refused."""
RECEIVE_BYTES = 32 * 1024
"""What the kernel keeps of a connection that is not read, and so the most that comes at once (it doubles it)."""
BIND_EVERY_SECONDS = 5.0
DATE_EVERY_SECONDS = 1.0
"""How often the header `Date` of all answers is written again."""
LAST_ACCEPT_SECONDS = 0.05
"""For accepting those whom the kernel has connected, when the process is to stop."""
ON_THEIR_WAY_SECONDS = 1.0
"""How long a connection on which no request has come has for it, when the process is to stop. A client on a busy
machine needs some tenths of a second between connecting and sending; hung up on, it would get no answer at all.
Without such a connection nothing is waited for."""
LOOK_SECONDS = 0.05
"""After which it is looked again whether there is one."""

Handler = Callable[[Request], Awaitable[Response]]


def health_handlers(exporter: Service, service: str, readiness: Readiness) -> dict[str, Handler]:
    """The three answers, by path."""
    labelled: Any = Labelled(exporter, service)

    async def health(_: Request) -> Response:
        return JSONResponse({"status": "healthy"})

    async def ready(_: Request) -> Response:
        status, body = readiness.answer()
        return JSONResponse(body, status_code=status, headers={"Cache-Control": "no-store"})

    async def show_metrics(_: Request) -> Response:
        return Response(generate_latest(labelled), headers={"Content-Type": CONTENT_TYPE_LATEST})

    return {"/health": health, "/ready": ready, "/metrics": show_metrics}


def bare_handlers(handlers: dict[str, Handler]) -> dict[str, Handler]:
    """Of the three answers what anybody may know: `/health`, and of `/ready` the status alone."""

    async def ready(request: Request) -> Response:
        whole = await handlers["/ready"](request)
        body = {"status": json.loads(bytes(whole.body))["status"]}
        return JSONResponse(body, status_code=whole.status_code, headers={"Cache-Control": "no-store"})

    return {"/health": handlers["/health"], "/ready": ready}


def probes(exporter: Service, service: str, readiness: Readiness) -> Starlette:
    """A worker's whole HTTP face."""
    handlers = health_handlers(exporter, service, readiness)
    return Starlette(routes=[Route(path, handler) for path, handler in handlers.items()])


class HttpSettings(Shape):
    """The settings by which a process serves HTTP: address, idle bound, most connections, and time to end in."""

    @property
    def http_host(self) -> str: ...
    @property
    def http_port(self) -> int: ...
    @property
    def http_keep_alive_seconds(self) -> int: ...
    @property
    def http_connections_max(self) -> int: ...
    @property
    def shutdown_seconds(self) -> float: ...


@dataclass(frozen=True, slots=True)
class FurtherPort:
    """What a process answers with at another port than its own, and the setting that moves that port."""

    app: Starlette
    host: str
    port: int
    setting: str


async def serve(
    app: Any,
    settings: HttpSettings,
    stop: asyncio.Event,
    further: Sequence[FurtherPort] = (),
    protocol: type[Protocol] = Protocol,
    certificate: HttpCertificate | None = None,
) -> None:
    """Answer until `stop`, then let requests in flight finish; at the `further` ports without TLS.

    Raises:
        Misconfigured: `HTTP_PORT` is taken. The others are waited for: metrics are no reason not to work.
    """
    most, backlog = limits(settings.http_connections_max, BACKLOG)
    connections = Connections(most, settings.http_keep_alive_seconds)
    listeners = _Listeners(settings, stop, connections, backlog, handshakes_max=min(most, backlog // 2))
    listener = bind(settings.http_host, settings.http_port, "HTTP_PORT", backlog)
    async with beside(connections.watch()), asyncio.TaskGroup() as servers:
        servers.create_task(listeners.serve(app, listener, protocol, certificate))
        if certificate is not None:
            servers.create_task(certificate.follow(stop))
        for each in further:
            servers.create_task(listeners.serve_further(each))


@dataclass(frozen=True, slots=True)
class _Listeners:
    """The ports of one process, which share its limit of connections."""

    settings: HttpSettings
    stop: asyncio.Event
    connections: Connections
    backlog: int
    handshakes_max: int
    """Of clients that have not agreed on TLS. They are no connections yet, and have of the backlog's descriptors half:
    one round of accepting comes on top."""

    async def serve_further(self, port: FurtherPort) -> None:
        """Answer at a further port once it is free, which is said once that it is not."""
        is_said = False
        while not self.stop.is_set():
            try:
                listener = bind(port.host, port.port, port.setting, self.backlog)
            except Misconfigured as error:
                if not is_said:
                    log.error("metrics_port_taken", reason=str(error))
                is_said = True
                await pause(self.stop, BIND_EVERY_SECONDS)
                continue
            await self.serve(port.app, listener, Protocol)

    async def serve(
        self,
        app: Any,
        listener: socket.socket,
        protocol: type[Protocol],
        certificate: HttpCertificate | None = None,
    ) -> None:
        """Answer at a port until the process is to stop."""
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            proxy_headers=False,
            http=functools.partial(Silent, protocol, self.connections),  # type: ignore[arg-type]  # it makes one
            ws="none",
            backlog=self.backlog,
            timeout_graceful_shutdown=math.ceil(self.settings.shutdown_seconds),
        )
        config.load()
        config.ssl = certificate.context if certificate else None
        server = _Server(config, self.stop, self.handshakes_max)
        try:
            await server.serve(sockets=[listener])
        finally:
            server.close()


class _Server(uvicorn.Server):
    """A uvicorn that leaves the signals to the process, accepts all who have connected, and answers them."""

    def __init__(self, config: uvicorn.Config, stop: asyncio.Event, handshakes_max: int) -> None:
        super().__init__(config)
        self.servers = []
        self._stop = stop
        self._handshakes_max = handshakes_max
        self._listeners: list[socket.socket] = []
        self._accepting: dict[asyncio.Task[None], None] = {}
        """Clients that are no connections yet, by age: with TLS, those that have not agreed on it."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen. The loop's own server accepts one connection a turn: under load, a new one would wait for seconds."""
        self._listeners = list(sockets or [])
        for listener in self._listeners:
            listener.setblocking(False)
            asyncio.get_running_loop().add_reader(listener, self._accept, listener)
        self.started = True

    async def main_loop(self) -> None:
        """Serve until the process is to stop. uvicorn's own loop looks ten times a second whether it is."""
        while not (await self.on_tick(0) or self._stop.is_set()):
            await pause(self._stop, DATE_EVERY_SECONDS)

    def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        try:
            for client in itertools.islice(_waiting(listener), ACCEPTED_AT_ONCE):
                self._begin(client)
        except OSError as error:  # no descriptor is left, for one: the loop would ask again at once, and again
            log.warning("connections_not_accepted", reason=error.strerror)
            loop.remove_reader(listener)
            loop.call_later(ACCEPT_AGAIN_SECONDS, self._accept_again, listener)

    def _begin(self, client: socket.socket) -> None:
        """Let a client become a connection; of too many that have not agreed on TLS the oldest goes."""
        accepting = asyncio.get_running_loop().create_task(self._connect(client))
        accepting.add_done_callback(functools.partial(self._begun, client))
        self._accepting[accepting] = None
        if self.config.ssl is not None and len(self._accepting) > self._handshakes_max:
            oldest = next(iter(self._accepting))
            del self._accepting[oldest]
            oldest.cancel()
            metrics.HTTP_CONNECTIONS_CLOSED.labels("handshake").inc()

    def _begun(self, client: socket.socket, accepting: asyncio.Task[None]) -> None:
        self._accepting.pop(accepting, None)
        if accepting.cancelled():
            client.close()

    def _accept_again(self, listener: socket.socket) -> None:
        if listener in self._listeners:
            asyncio.get_running_loop().add_reader(listener, self._accept, listener)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop to listen, wait for the requests that are on their way, then let those in flight finish.

        The kernel connects clients before the process accepts them, and resets those when the socket is closed: so it
        is stopped first, and clients that it has connected by then are accepted.
        """
        for listener in self._listeners:
            asyncio.get_running_loop().remove_reader(listener)
            listener.listen(0)
        await asyncio.sleep(LAST_ACCEPT_SECONDS)
        with contextlib.suppress(OSError):
            for listener in self._listeners:
                for client in _waiting(listener):
                    self._begin(client)
        self.close()
        for _ in range(round(ON_THEIR_WAY_SECONDS / LOOK_SECONDS)):
            if not self._are_on_their_way():
                break
            await asyncio.sleep(LOOK_SECONDS)
        for handshake in self._accepting:  # what is not done by now waits for TLS
            handshake.cancel()
        await super().shutdown(sockets)

    def _are_on_their_way(self) -> bool:
        """Whether a client has connected and its first request has not come."""
        firsts = (getattr(each, "cycle", None) for each in self.server_state.connections)
        return bool(self._accepting) or None in firsts

    def close(self) -> None:
        """Close the port."""
        for listener in self._listeners:
            asyncio.get_running_loop().remove_reader(listener)
            listener.close()
        self._listeners = []

    async def _connect(self, client: socket.socket) -> None:
        """Accept a client; one that does not agree on TLS is dropped."""
        tls: dict[str, Any] = {}
        if self.config.ssl is not None:
            tls = {"ssl": self.config.ssl, "ssl_handshake_timeout": HANDSHAKE_SECONDS}
            tls["ssl_shutdown_timeout"] = UNREAD_SECONDS
        with contextlib.suppress(OSError, TimeoutError):
            await asyncio.get_running_loop().connect_accepted_socket(self._protocol, client, **tls)

    def _protocol(self) -> asyncio.Protocol:
        kind: Any = self.config.http_protocol_class
        protocol: asyncio.Protocol = kind(
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return protocol

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _waiting(listener: socket.socket) -> Iterator[socket.socket]:
    """Connections that the kernel holds and the process has not accepted."""
    with contextlib.suppress(BlockingIOError):
        while True:
            with contextlib.suppress(ConnectionAbortedError):
                yield listener.accept()[0]


def bind(host: str, port: int, setting: str, backlog: int = BACKLOG) -> socket.socket:
    """A socket that listens already, so that of two processes that want the port one fails; or a sentence.

    Raises:
        Misconfigured: the port is taken or the address is not ours.
    """
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
        listener.listen(backlog)
    except OSError as error:
        listener.close()
        raise Misconfigured(
            f"Port {port} on {host} cannot be used ({error.strerror}): stop what holds it, or set {setting}."
        ) from None
    return listener
