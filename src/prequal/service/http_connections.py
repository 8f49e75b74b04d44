"""The connections of one process: how many there may be, and how long each may keep us waiting.

Invariant: a new connection is let in while another one waits for nothing but its client; stores and probes keep
descriptors of their own.

    accepted ──► idle ──► a head begins ──► a request is answered ──► idle
                  │             │                    └──► its client reads nothing: cut
                  │             └──► not whole within 10 s: 408
                  └──► for as long as is set, or the longest when there is no room: closed ──► not read: cut
"""

import asyncio
import contextlib
import fcntl
import resource
import termios
from collections import OrderedDict
from typing import Any, Final, Protocol

import structlog

from prequal.telemetry import metrics

log = structlog.get_logger()

HEAD_SECONDS: Final = 10.0
"""Within which a request's head must be whole."""
UNREAD_SECONDS: Final = 10.0
"""How long answers may wait for a client that does not read them."""
CLOSE_SECONDS: Final = 1.0
"""Within which a client that has been sent everything must agree, with TLS, that the connection ends."""
SWEEP_SECONDS: Final = 0.5
LOG_EVERY_SECONDS: Final = 60.0

DESCRIPTORS_KEPT: Final = 128
"""For stores, logs and probes, beside those that one round of accepting may take."""
ACCEPTED_AT_ONCE: Final = 128
"""So many connections are accepted in one turn of the loop. Of those that made room as many are not counted any more:
they end in the next turn, but one that reads nothing of its last answer may stay until it is cut."""
PROBES_MAX: Final = 32
"""So many connections more are let in when there is no room, and are answered probes alone."""


class Connection(Protocol):
    """One connection."""

    transport: asyncio.Transport

    def late(self) -> None:
        """Refuse the request whose head is not whole yet."""


Waiting = OrderedDict[Connection, float]
"""Connections, and since when they wait, by the loop's clock; who waits longest is first."""


class Connections:
    """The connections that are open, and what each of them waits for."""

    def __init__(self, limit: int, idle_seconds: float) -> None:
        self._limit = limit
        self._idle_seconds = idle_seconds
        self._open = 0
        self._closing: set[Connection] = set()
        """Those that made room and have not ended."""
        self._counted: set[Connection] = set()
        """Those of which it is counted why they are closed."""
        self._loop = asyncio.get_running_loop()
        self._logged_at = -LOG_EVERY_SECONDS
        self.idle: Waiting = OrderedDict()
        self.beginning: Waiting = OrderedDict()
        self.unread: Waiting = OrderedDict()
        metrics.HTTP_CONNECTIONS.set_function(lambda: self._open)
        metrics.HTTP_CONNECTIONS_LIMIT.set(limit)

    def opened(self, connection: Connection) -> bool:
        """Count a new connection; if there is no room, the one that is idle longest goes.

        Returns:
            Whether it may send more than probes: false if nobody could go.
        """
        self._open += 1
        has_room = self._staying() <= self._limit or self._make_room(connection)
        if self._staying() > self._limit + PROBES_MAX:
            connection.transport.abort()
        else:
            self.idle[connection] = self._loop.time()
        return has_room

    def closed(self, connection: Connection) -> None:
        """Count a connection that has ended."""
        self._open -= 1
        self._closing.discard(connection)
        self._counted.discard(connection)
        for waiting in (self.idle, self.beginning, self.unread):
            waiting.pop(connection, None)

    def replace(self, connection: Connection, other: Connection) -> None:
        """Let `other` stand for a connection, and wait in its place where that is idle."""
        if (since := self.idle.pop(connection, None)) is not None:
            self.idle[other] = since
        if connection in self._counted:
            self._counted.discard(connection)
            self._counted.add(other)

    def count(self, connection: Connection, reason: str) -> None:
        """Count why a connection is closed; of several reasons the first."""
        if connection not in self._counted:
            self._counted.add(connection)
            metrics.HTTP_CONNECTIONS_CLOSED.labels(reason).inc()

    def note(self, waiting: Waiting, connection: Connection) -> None:
        """Let a connection wait from now on, unless it does already."""
        waiting.setdefault(connection, self._loop.time())

    async def watch(self) -> None:
        """Let go, each half second, whose time is over."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            for connection in self._over(self.idle, self._idle_seconds):
                self._let_go(connection, "idle")
            for connection in self._over(self.beginning, HEAD_SECONDS):
                connection.late()
            for connection in self._over(self.unread, UNREAD_SECONDS):
                self.count(connection, "unread")
                connection.transport.abort()

    def hang_up(self, connection: Connection) -> None:
        """Close a connection behind what was written; its client has `UNREAD_SECONDS` to read that."""
        self.note(self.unread, connection)
        _close(connection.transport)

    def _let_go(self, connection: Connection, reason: str) -> None:
        self.count(connection, reason)
        self.hang_up(connection)

    def _over(self, waiting: Waiting, seconds: float) -> list[Connection]:
        """Take out who has waited for so long."""
        over = []
        while waiting and next(iter(waiting.values())) <= self._loop.time() - seconds:
            over.append(waiting.popitem(last=False)[0])
        return over

    def _staying(self) -> int:
        return self._open - min(len(self._closing), ACCEPTED_AT_ONCE)

    def _make_room(self, connection: Connection) -> bool:
        if self._loop.time() >= self._logged_at + LOG_EVERY_SECONDS:
            self._logged_at = self._loop.time()
            log.warning("connections_at_limit", limit=self._limit, idle=len(self.idle), beginning=len(self.beginning))
        for waiting in (self.idle, self.beginning):
            if waiting:
                gone = waiting.popitem(last=False)[0]
                self._closing.add(gone)
                self._let_go(gone, "room")
                return True
        self.count(connection, "refused")
        return False


def _close(transport: asyncio.Transport) -> None:
    """Close a connection behind what was written.

    With TLS the client is to answer that it ends, which one that does not read never does: once it has been sent
    everything it is not waited for.
    """
    client = transport.get_extra_info("socket")
    if client is not None and transport.get_extra_info("ssl_object") is not None:
        _cut_later(transport, client)
    transport.close()


def _cut_later(transport: asyncio.Transport, client: Any) -> None:
    asyncio.get_running_loop().call_later(CLOSE_SECONDS, _cut, transport, client)


def _cut(transport: asyncio.Transport, client: Any) -> None:
    if client.fileno() < 0:  # it has ended
        return
    with contextlib.suppress(OSError):  # not every system tells
        if any(fcntl.ioctl(client.fileno(), termios.TIOCOUTQ, bytes(4))):  # the client's system has not taken all
            _cut_later(transport, client)
            return
    transport.abort()


def limits(most: int, backlog: int) -> tuple[int, int]:
    """How many connections there may be, `most` at most, and the backlog: as the limit of descriptors allows.

    As many as the backlog may be accepted before anybody here hears of them: with TLS, when they have agreed on it.
    """
    descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    backlog = min(backlog, descriptors // 4)
    return max(1, min(most, descriptors - backlog - DESCRIPTORS_KEPT - PROBES_MAX)), backlog
