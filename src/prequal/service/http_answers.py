"""How answers leave: each in one piece, its head with its body, and no faster than they are read.

Invariant: a head is buffered only as long as something must follow it: a body, be it empty, or the connection's end.
"""

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

WORDS: Final = {
    400: "The request is not well-formed HTTP.",
    408: "The request's head did not arrive within 10 seconds.",
    414: "The request's target is over 2 KiB.",
    431: "The request's head is over 16 KiB, or has over 100 fields.",
    503: "There are too many connections: only probes are answered on this one.",
}
"""What is refused before it is a request, by status."""

_CONTINUE: Final = b"HTTP/1.1 100 "


class HeadWithBody:
    """Stands for the transport of one request's cycle, of which uvicorn writes head and body one after the other.

    uvloop writes at once what it is given (`UVStream.write`), so each answer was two system calls and two segments, and
    woke its client twice.

    It knows nothing of its cycle: two that refer to each other, and all that they hold, wait for the garbage collector,
    which a crowd of connections made stop the process for a tenth of a second each second.
    """

    __slots__ = ("_head", "_transport")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._head: bytes | None = None

    def write(self, data: bytes) -> None:
        """Buffer the head, write it with what comes next; what comes before it is not buffered."""
        if self._head is None and not data.startswith(_CONTINUE):
            self._head = data
        elif self._head:
            self._transport.write(self._head + data)
            self._head = b""
        else:
            self._transport.write(data)

    def close(self) -> None:
        """Close the connection behind what was given."""
        if self._head:
            self._transport.write(self._head)
        self._transport.close()


class Flow(FlowControl):
    """Whether a connection is read: not while requests enough wait on it, nor while answers wait for their reader."""

    is_full = False

    def resume_reading(self) -> None:
        """Read again, unless something still waits."""
        if not (self.is_full or self.write_paused):
            super().resume_reading()


def refusal(status: int, body: bytes, headers: dict[str, str]) -> bytes:
    """An answer as bytes, after which the connection is closed."""
    return answer(status, body, {**headers, "Connection": "close"})


def answer(status: int, body: bytes, headers: dict[str, str]) -> bytes:
    """An answer as bytes; its length is not among the headers yet, or is right there."""
    fields = {"content-length": str(len(body)), **headers}
    lines = [STATUS_LINE[status].rstrip(), *(f"{each}: {fields[each]}".encode() for each in fields)]
    return b"\r\n".join([*lines, b"", body])


def nothing() -> None:
    """Stands for what a request's cycle calls once it is answered, where somebody else has answered."""


class _Answered:
    """Stands for a request that was answered when its head had come."""

    response_complete = True
    body = bytearray()
    more_body = False
    message_event = asyncio.Event()


ANSWERED: Final[Any] = _Answered()
