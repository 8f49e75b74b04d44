"""A small HTTP/1.1 client that costs little: one connection a task, kept open, one request at a time on each."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Self, cast

import httptools


@dataclass(slots=True)
class Answer:
    """A status, the body, and the seconds it took."""

    status: int
    body: bytes
    seconds: float


class Connection(asyncio.Protocol):
    """One kept-alive connection."""

    def __init__(self, token: str = "") -> None:
        self._authorization = f"\r\nAuthorization: Bearer {token}" if token else ""
        self._parser = httptools.HttpResponseParser(self)
        self._body = b""
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None
        self._transport: asyncio.Transport | None = None

    @classmethod
    async def open(cls, port: int, token: str = "") -> Self:
        """Connect to the API on this machine, as the client of this token where it asks for one."""
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(lambda: cls(token), "127.0.0.1", port)
        return connection

    async def post(self, path: str, body: bytes, headers: Mapping[str, str] | None = None) -> Answer:
        """Send a JSON body."""
        head = f"POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
        further = "".join(f"\r\n{name}: {value}" for name, value in (headers or {}).items())
        return await self._ask(f"{head}{self._authorization}{further}\r\n\r\n".encode() + body)

    async def get(self, path: str) -> Answer:
        """Read a path."""
        return await self._ask(f"GET {path} HTTP/1.1\r\nHost: bench{self._authorization}\r\n\r\n".encode())

    @property
    def is_open(self) -> bool:
        """Whether the other side has not hung up."""
        return self._transport is not None and not self._transport.is_closing()

    def close(self) -> None:
        """Hang up."""
        if self._transport:
            self._transport.close()

    async def _ask(self, request: bytes) -> Answer:
        assert self._transport is not None
        if self._transport.is_closing():
            raise ConnectionError("hung up")
        began = perf_counter()
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        status, body = await self._answer
        return Answer(status, body, perf_counter() - began)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail what waits."""
        if self._answer and not self._answer.done():
            self._answer.set_exception(exc or ConnectionError("hung up"))

    def data_received(self, data: bytes) -> None:
        """Feed the parser."""
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        """Collect the body."""
        self._body += body

    def on_message_complete(self) -> None:
        """Hand the answer over."""
        if self._answer and not self._answer.done():
            self._answer.set_result((self._parser.get_status_code(), self._body))
        self._body = b""
        self._parser = httptools.HttpResponseParser(self)
