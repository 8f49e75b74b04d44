"""The HTTP face of a process, without a process: an application of the test's behind the real server, raw sockets."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

from prometheus_client import Gauge
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from harness.ports import free_port
from harness.waiting import soon
from prequal.service import http_server
from prequal.service.http_protocol import Protocol
from prequal.service.http_tls import HttpCertificate
from tests.builders import a_service

Headers: TypeAlias = Sequence[tuple[bytes, bytes]]
OFFER = (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABk")
"""What a JDK HttpClient and `curl --http2` send with their first request to an `http:` address."""


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the method, the path and the whole body."""
    body = bytearray()
    while (message := await receive()).get("more_body"):
        body += message["body"]
    body += message.get("body", b"")
    content = b"%b %b %b" % (scope["method"].encode(), scope["path"].encode(), bytes(body))
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(content))]})
    await send({"type": "http.response.body", "body": content})


@asynccontextmanager
async def an_edge(
    app: ASGIApp = echo,
    protocol: type[Protocol] = Protocol,
    certificate: HttpCertificate | None = None,
    stop: asyncio.Event | None = None,
    **settings: Any,
) -> AsyncIterator[int]:
    """Serve `app` in this event loop, until `stop` or the block's end; the port, as soon as it can be connected to."""
    port = free_port()
    loaded = a_service().model_copy(update={"http_port": port, **settings})
    stop = stop or asyncio.Event()
    serving = asyncio.create_task(http_server.serve(app, loaded, stop, (), protocol, certificate))
    try:
        await soon(lambda: takes_connections(port))
        yield port
    finally:
        stop.set()
        await serving


async def takes_connections(port: int) -> bool:
    """Whether somebody listens at a port."""
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionRefusedError:
        return False
    writer.close()
    return True


def a_request(
    line: str = "POST /applications", headers: Sequence[bytes] = (), body: bytes = b"", *, chunked: bool = False
) -> bytes:
    """A request's bytes, its body with a length or in one chunk."""
    framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % len(body)
    lines = (f"{line} HTTP/1.1".encode(), b"Host: x", b"Content-Type: application/json", *headers, framing)
    return b"\r\n".join((*lines, b"", b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if chunked else body))


async def answers(port: int, *packets: bytes, number: int = 1) -> list[tuple[int, bytes]]:
    """Send the packets, one by one, over one connection; status and body of so many answers."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for packet in packets:
            writer.write(packet)
            await writer.drain()
            await asyncio.sleep(0.02)  # so that they do not come as one
        return [await asyncio.wait_for(an_answer(reader), 10) for _ in range(number)]
    finally:
        writer.close()


async def an_answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Status and body of the next answer, which has a length."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    assert head.count(b"content-length:") == 1
    length = int(head.partition(b"content-length: ")[2].split(b"\r\n")[0])
    return int(head[9:12]), await reader.readexactly(length)


def value(gauge: Gauge) -> float:
    """What a gauge without labels shows."""
    [family] = gauge.collect()
    return family.samples[0].value


async def hung_up(app: ASGIApp, path: str, content_type: str, headers: Headers = ()) -> list[Message]:
    """What `app` sends to one who hangs up before the body of a POST has come."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "scheme": "http", "path": path, "raw_path": path.encode()}
    scope |= {"query_string": b"", "root_path": "", "client": ("127.0.0.1", 1), "server": ("console", 80)}
    scope["headers"] = [(b"host", b"console"), (b"content-type", content_type.encode()), *headers]
    await app(scope, receive, send)
    return sent
