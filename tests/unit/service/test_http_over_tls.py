"""Connections over TLS: refused as others are, and watched on afterwards."""

import asyncio
import os
import socket
import ssl
from pathlib import Path

import pytest
from starlette.types import Receive, Scope, Send
from structlog.testing import capture_logs

from harness.waiting import soon
from prequal.service import http_connections, http_protocol, http_server
from prequal.service.http_tls import HttpCertificate
from prequal.telemetry import metrics
from tests.support.certificates import Authority
from tests.support.edge import a_request, an_answer, an_edge, echo, value

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Tls:
    """A certificate, and clients that trust it."""

    def __init__(self, folder: Path) -> None:
        authority = Authority(folder)
        issued = authority.issue("localhost", "127.0.0.1")
        self.certificate = HttpCertificate(str(issued.certificate), str(issued.key))
        self._context = ssl.create_default_context(cafile=authority.file)

    def ask(self, port: int, *headers: bytes) -> ssl.SSLSocket:
        """Ask once, read the head of the answer, and nothing afterwards: not even that the server hangs up."""
        client = self._context.wrap_socket(socket.create_connection(("127.0.0.1", port)), server_hostname="127.0.0.1")
        client.settimeout(20)
        client.sendall(a_request("GET /a", headers))
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += client.recv(1)
        return client

    async def connect(self, port: int) -> Streams:
        return await asyncio.open_connection("127.0.0.1", port, ssl=self._context)


@pytest.fixture
def tls(tmp_path: Path) -> Tls:
    return Tls(tmp_path)


async def test_head_that_is_not_whole_is_408_and_idle_connections_are_closed_afterwards(
    tls: Tls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_connections, "HEAD_SECONDS", 0.1)
    async with an_edge(certificate=tls.certificate, http_keep_alive_seconds=1) as port:
        reader, slow = await tls.connect(port)
        slow.write(b"GET /a HTTP/1.1\r\n")
        status, _ = await an_answer(reader)
        reader, idle = await tls.connect(port)
        rest = await asyncio.wait_for(reader.read(), 30)
        slow.close()
        idle.close()

    assert (status, rest) == (408, b"")


async def test_refusal_is_read_though_more_comes_behind_what_is_refused(tls: Tls) -> None:
    async with an_edge(certificate=tls.certificate) as port:
        reader, writer = await tls.connect(port)
        writer.write(b"NONSENSE\r\n\r\n")
        await writer.drain()
        writer.write(b"x" * 12_000)

        status, _ = await an_answer(reader)

        writer.close()
    assert status == 400


async def test_of_too_many_who_do_not_agree_on_tls_the_oldest_goes_and_others_are_served(
    tls: Tls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_server, "HANDSHAKE_SECONDS", 120.0)
    async with an_edge(certificate=tls.certificate, http_connections_max=16) as port, asyncio.timeout(30):
        silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(60)]

        gone = [await reader.read() for reader, _ in silent[: 60 - 16]]

        reader, writer = await tls.connect(port)
        writer.write(a_request("GET /a"))
        status, _ = await an_answer(reader)
        for _, each in [*silent, (reader, writer)]:
            each.close()
    assert (status, set(gone)) == (200, {b""})


async def test_every_client_of_a_crowd_has_the_same_time_to_agree_on_tls(
    tls: Tls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_server, "HANDSHAKE_SECONDS", 0.2)
    async with an_edge(certificate=tls.certificate) as port, asyncio.timeout(30):
        at_once = [socket.create_connection(("127.0.0.1", port)) for _ in range(300)]
        silent = [await asyncio.open_connection(sock=client) for client in at_once]

        gone = [await reader.read() for reader, _ in silent]

        for _, writer in silent:
            writer.close()
    assert gone == [b""] * 300


async def test_idle_client_that_reads_no_more_holds_up_neither_the_end_nor_room_for_others(tls: Tls) -> None:
    async with an_edge(certificate=tls.certificate, http_connections_max=1, shutdown_seconds=60) as port:
        first = await asyncio.to_thread(tls.ask, port)
        second = await asyncio.to_thread(tls.ask, port)
        await soon(lambda: value(metrics.HTTP_CONNECTIONS) == 1)
        began = asyncio.get_running_loop().time()
    seconds = asyncio.get_running_loop().time() - began
    for client in (first, second):
        client.close()

    assert seconds < 30


async def test_request_that_ends_after_its_connection_leaves_nothing_to_be_cut(tls: Tls) -> None:
    begun, go_on, kept = [], asyncio.Event(), []

    class Kept(http_protocol.Protocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            kept.append(self)
            super().connection_made(transport)

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        begun.append(scope)
        await go_on.wait()
        await echo(scope, receive, send)

    async with an_edge(slow, protocol=Kept, certificate=tls.certificate) as port:
        _, writer = await tls.connect(port)
        writer.write(a_request("GET /a") * 2)
        await soon(lambda: kept and kept[0].pipeline)
        writer.close()
        await soon(lambda: value(metrics.HTTP_CONNECTIONS) == 0)
        go_on.set()
        await soon(lambda: not kept[0].tasks)
        to_be_cut = list(kept[0]._waits.unread)

    assert (len(begun), to_be_cut) == (1, [])


async def test_client_that_reads_slowly_gets_the_whole_of_its_last_answer(tls: Tls) -> None:
    body = b"x" * 20_000_000

    async def long(_: Scope, __: Receive, send: Send) -> None:
        headers = [(b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async with an_edge(long, certificate=tls.certificate) as port:
        client = await asyncio.to_thread(tls.ask, port, b"Connection: close")
        await asyncio.sleep(3)
        rest = await asyncio.to_thread(read_all, client)

    assert rest == len(body)


def read_all(client: ssl.SSLSocket) -> int:
    """The length of what comes until the end."""
    size = 0
    with client:
        while part := client.recv(65_536):
            size += len(part)
    return size


async def test_certificate_that_was_copied_with_its_times_is_shown(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    shown, renewed = authority.issue("shown", "localhost"), authority.issue("renewed", "localhost")
    certificate = HttpCertificate(str(shown.certificate), str(shown.key))
    for file, other in ((shown.certificate, renewed.certificate), (shown.key, renewed.key)):
        times = file.stat()
        file.write_bytes(other.read_bytes())
        os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))

    with capture_logs() as logs:
        certificate.look()
        certificate.look()

    assert [line["event"] for line in logs] == ["certificate_renewed"]
