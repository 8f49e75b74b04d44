"""An answer's head and body leave together, and nothing is held back for good."""

from typing import Any

import httpx
import pytest
from starlette.types import Receive, Scope

from prequal.service.http_answers import HeadWithBody
from tests.support.edge import an_edge, echo

HEAD, BODY = b"HTTP/1.1 200 OK\r\n\r\n", b"{}"


class Written:
    """A transport that keeps what was written, a piece a system call."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.closed = False

    def write(self, data: bytes) -> None:
        self.pieces.append(data)

    def close(self) -> None:
        self.closed = True


def answering(written: Written) -> HeadWithBody:
    return HeadWithBody(written)  # type: ignore[arg-type]


def test_head_and_body_are_written_together() -> None:
    written = Written()
    answer = answering(written)

    answer.write(HEAD)
    answer.write(BODY)

    assert written.pieces == [HEAD + BODY]


@pytest.mark.parametrize("body", [b"", BODY])
def test_what_follows_the_head_is_written_at_once(body: bytes) -> None:
    written = Written()
    answer = answering(written)

    answer.write(HEAD)
    answer.write(body)
    answer.write(BODY)

    assert written.pieces == [HEAD + body, BODY]


def test_permission_to_send_the_body_is_not_held() -> None:
    written = Written()
    answer = answering(written)

    answer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    answer.write(HEAD)
    answer.write(BODY)

    assert written.pieces == [b"HTTP/1.1 100 Continue\r\n\r\n", HEAD + BODY]


def test_head_is_written_when_the_connection_is_closed_before_its_body() -> None:
    written = Written()
    answer = answering(written)

    answer.write(HEAD)
    answer.close()

    assert (written.pieces, written.closed) == ([HEAD], True)


@pytest.mark.parametrize(("method", "joined"), [("GET", True), ("POST", True), ("HEAD", False)])
async def test_head_waits_for_its_body_unless_it_has_none(method: str, joined: bool) -> None:
    kinds: list[bool] = []

    async def app(scope: Scope, receive: Receive, send: Any) -> None:
        kinds.append(isinstance(send.__self__.transport, HeadWithBody))
        await echo(scope, receive, send)

    async with an_edge(app) as port, httpx.AsyncClient(trust_env=False) as client:
        answer = await client.request(method, f"http://127.0.0.1:{port}/")

    assert (answer.status_code, kinds) == (200, [joined])
