"""`service.http_protocol`, behind a real socket: what every port of every process makes of what clients send."""

import asyncio
import gc
import logging

import pytest
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from harness.waiting import soon
from prequal.service import http_server
from prequal.telemetry import metrics
from tests.builders import a_service
from tests.support.edge import OFFER, a_request, an_answer, an_edge, answers, echo, value

AN_H2C_OFFER = (*OFFER, b"X-Kept: yes")
A_WEBSOCKET = (b"Connection: keep-alive, Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Version: 13")


@pytest.mark.parametrize("offer", [AN_H2C_OFFER, A_WEBSOCKET], ids=["h2c", "websocket"])
@pytest.mark.parametrize("chunked", [False, True], ids=["with a length", "chunked"])
async def test_message_with_an_offer_is_served_with_its_body(offer: tuple[bytes, ...], chunked: bool) -> None:
    async with an_edge() as port:
        [answer] = await answers(port, a_request("POST /a", offer, b"hello", chunked=chunked))

    assert answer == (200, b"POST /a hello")


async def test_body_of_an_offer_may_come_in_later_packets() -> None:
    request = a_request("POST /a", AN_H2C_OFFER, b"hello")
    async with an_edge() as port:
        [answer] = await answers(port, request[:40], request[40:-5], request[-5:-2], request[-2:])

    assert answer == (200, b"POST /a hello")


async def test_connection_goes_on_after_an_offer() -> None:
    first, second = a_request("POST /a", AN_H2C_OFFER, b"one"), a_request("POST /b", AN_H2C_OFFER, b"two")
    third = a_request("GET /c")
    async with an_edge() as port:
        one_by_one = await answers(port, first, second, third, number=3)
        at_once = await answers(port, first + second + third, number=3)

    expected = [(200, b"POST /a one"), (200, b"POST /b two"), (200, b"GET /c ")]
    assert one_by_one == at_once == expected


async def test_offer_is_no_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        async with an_edge() as port:
            await answers(port, a_request("POST /a", AN_H2C_OFFER, b"hello"))

    assert [record for record in caplog.records if record.name.startswith("uvicorn") and record.levelno > 20] == []


async def test_message_is_closed_after_if_the_offer_came_with_close() -> None:
    offer = (b"Connection: close, Upgrade, HTTP2-Settings", *OFFER[1:])
    async with an_edge() as port:
        [answer] = await answers(port, a_request("POST /a", offer, b"hello"))

    assert answer == (200, b"POST /a hello")


async def test_requests_that_were_answered_are_freed_without_the_garbage_collector() -> None:
    async with an_edge() as port:
        gc.collect()
        gc.set_debug(gc.DEBUG_SAVEALL)
        try:
            await answers(port, *[a_request("POST /a", (), b"hello")] * 10, number=10)
            gc.collect()
            cycles = [each for each in gc.garbage if isinstance(each, RequestResponseCycle)]
        finally:
            gc.set_debug(0)
            gc.garbage.clear()

    assert cycles == []


async def test_connect_is_no_http_that_is_spoken_here() -> None:
    async with an_edge() as port:
        [answer] = await answers(port, b"CONNECT other:443 HTTP/1.1\r\nHost: other:443\r\n\r\nhello")

    assert answer[0] == 400


@pytest.mark.parametrize(
    "before",
    [a_request("POST /a", body=b"x" * 15_000), a_request("POST /a", body=b"x" * 15_000, chunked=True)],
    ids=["with a length", "chunked"],
)
@pytest.mark.parametrize("apart", [200, 0], ids=["the end of a body", "a whole request"])
@pytest.mark.parametrize(("size", "status"), [(9_000, 200), (18_000, 431)], ids=["a head", "too large a head"])
async def test_what_comes_before_a_head_is_no_part_of_it(before: bytes, apart: int, size: int, status: int) -> None:
    head = a_request("GET /b", [b"X-Long: " + b"x" * size])
    async with an_edge() as port:
        packets = (before[:apart], before[apart:] + head[:3_000], head[3_000:6_000], head[6_000:])
        both = await answers(port, *(each for each in packets if each), number=2)

    assert [answer[0] for answer in both] == [200, status]


CHUNKED = a_request("POST /a", chunked=True).removesuffix(b"0\r\n\r\n0\r\n\r\n")
"""A request's head, of whose body nothing is there yet."""


@pytest.mark.parametrize(
    ("body", "status"), [(b"zz\r\n", 400), (b"1;" + b"a" * 200_000, 431)], ids=["no size", "an endless extension"]
)
@pytest.mark.parametrize("apart", [True, False], ids=["after the head", "with the head"])
async def test_body_that_cannot_be_read_is_refused_at_once(body: bytes, status: int, apart: bool) -> None:
    async with an_edge() as port:
        packets = (CHUNKED, body) if apart else (CHUNKED + body,)
        async with asyncio.timeout(5):
            [answer] = await answers(port, *packets)

    assert answer[0] == status


async def test_body_that_cannot_be_read_is_refused_behind_the_answers_to_the_requests_before_it() -> None:
    begun: list[str] = []

    async def noted(scope: Scope, receive: Receive, send: Send) -> None:
        begun.append(scope["path"])
        await echo(scope, receive, send)

    async with an_edge(noted) as port, asyncio.timeout(5):
        packet = a_request("GET /one") + a_request("GET /two") + CHUNKED + b"zz\r\n"
        statuses = [status for status, _ in await answers(port, packet, number=3)]

    assert (statuses, begun) == ([200, 200, 400], ["/one", "/two"])


async def test_nobody_is_asked_for_the_body_that_was_refused(caplog: pytest.LogCaptureFixture) -> None:
    asks = CHUNKED.replace(b"\r\n", b"\r\nExpect: 100-continue\r\n", 1)
    async with an_edge() as port, asyncio.timeout(5):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(asks + b"zz\r\n")
        sent = await reader.read()
        writer.close()

    assert sent.startswith(b"HTTP/1.1 400")
    assert b"100 Continue" not in sent
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


@pytest.mark.parametrize("begun", [b"", b"GET /a HT"], ids=["silent", "in its head"])
async def test_client_that_connected_before_the_end_is_answered_though_it_is_slow(begun: bytes) -> None:
    request, stop = a_request("GET /a"), asyncio.Event()
    async with an_edge(stop=stop) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(begun)
        await soon(lambda: value(metrics.HTTP_CONNECTIONS) == 1)

        stop.set()
        await asyncio.sleep(0.6)
        writer.write(request.removeprefix(begun))

        answer = await an_answer(reader)
        writer.close()
    assert answer == (200, b"GET /a ")


async def test_request_in_flight_has_a_second_at_the_end_where_less_is_set() -> None:
    answered, begun, stop = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        begun.set()
        await answered.wait()
        await echo(scope, receive, send)

    async with an_edge(slow, stop=stop, shutdown_seconds=0.5) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(a_request("GET /a"))
        await begun.wait()
        stop.set()
        await asyncio.sleep(http_server.LAST_ACCEPT_SECONDS * 4)
        answered.set()

        answer = await an_answer(reader)
        writer.close()
    assert answer == (200, b"GET /a ")


async def test_process_without_clients_on_their_way_ends_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "ON_THEIR_WAY_SECONDS", 20)
    async with an_edge() as port:
        reader, idle = await asyncio.open_connection("127.0.0.1", port)
        idle.write(a_request("GET /a"))
        await an_answer(reader)
        began = asyncio.get_running_loop().time()
    seconds = asyncio.get_running_loop().time() - began
    idle.close()

    assert seconds < 10


async def test_idle_connection_is_closed_after_the_seconds_of_the_setting() -> None:
    async with an_edge(http_keep_alive_seconds=1) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(a_request("GET /a"))
        await an_answer(reader)

        rest = await asyncio.wait_for(reader.read(), 30)

        writer.close()
    assert rest == b""


def test_connection_is_kept_longer_than_common_balancers_keep_theirs() -> None:
    assert a_service().http_keep_alive_seconds == 75
