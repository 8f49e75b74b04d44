"""`service.http_requests`: what a body may take, in bytes and in time; and that every other reader goes by it."""

import asyncio
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

import prequal
from prequal.service import http_requests
from prequal.service.http_requests import TooLarge, TooSlow, gone, read_body
from tests.support.edge import a_request, an_answer, an_edge

MOST = 100
HANDLERS: Mapping[Any, Any] = {ClientDisconnect: gone}


async def reader_of_bodies(scope: Scope, receive: Receive, send: Send) -> None:
    try:
        answer = PlainTextResponse(await read_body(Request(scope, receive), MOST))
    except (TooLarge, TooSlow) as refused:
        answer = PlainTextResponse(type(refused).__name__, 400)
    await answer(scope, receive, send)


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        (a_request(body=b"x" * MOST), (200, b"x" * MOST)),
        (a_request(body=b"x" * (MOST + 1)), (400, b"TooLarge")),
        (a_request(body=b"x" * MOST)[:-1], (400, b"TooSlow")),
    ],
    ids=["whole", "too large", "never whole"],
)
async def test_body_is_read_within_bounds(
    request_: bytes, answer: tuple[int, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    if answer[1] == b"TooSlow":
        monkeypatch.setattr(http_requests, "BODY_SECONDS", 0.01)
    async with an_edge(reader_of_bodies) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request_)

        assert await an_answer(reader) == answer
        writer.close()


async def test_client_that_hangs_up_in_a_body_is_no_fault_and_has_no_answer(caplog: pytest.LogCaptureFixture) -> None:
    left = asyncio.Event()

    async def read(request: Request) -> Response:
        try:
            return PlainTextResponse(await read_body(request, MOST))
        finally:
            left.set()

    async with an_edge(Starlette(routes=[Route("/", read, methods=["POST"])], exception_handlers=HANDLERS)) as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(a_request("POST /", body=b"x" * MOST)[:-1])
        await writer.drain()
        writer.close()
        await asyncio.wait_for(left.wait(), 5)

    assert caplog.records == []


def test_body_has_ten_seconds_to_come_and_nothing_reads_one_without_a_bound() -> None:
    reads = re.compile(r"request\.(?:stream|body|form|json)\(\)")
    source = Path(prequal.__file__).parent
    files = [str(file.relative_to(source)) for file in source.rglob("*.py") if reads.search(file.read_text())]

    assert http_requests.BODY_SECONDS == 10
    assert files == ["service/http_requests.py"]
