"""`api.protocol`: applications without room that were sent behind others on their connection."""

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import ClassVar

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send
from structlog.testing import capture_logs
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from harness.waiting import soon
from prequal.api import app
from prequal.api.protocol import Protocol
from prequal.api.refusals import DEBT_SECONDS, Refusals
from prequal.telemetry import metrics
from tests.support.edge import a_request, an_answer, an_edge, echo, value
from tests.support.without_stores import unopened_submissions

POST = a_request(body=b'{"pan_number": "ABCPE1234F"}')
HEALTH = a_request("GET /health")
READY = a_request("GET /ready")


class Kept(Protocol):
    """Remembers each that reads a connection."""

    every: ClassVar[list["Kept"]] = []

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.every.append(self)
        super().connection_made(transport)


@dataclass
class Api:
    """An API that has room until it is said that it has none, and of which each refusal takes all there is for them."""

    has_room: bool = True
    now: float = 1.0
    begun: int = 0
    """Applications of which a task was made."""
    charged: int = 0
    answer: asyncio.Event = field(default_factory=asyncio.Event)
    port: int = 0

    def __post_init__(self) -> None:
        self.refusals = Refusals(lambda: self.now)
        self._took, self.refusals.took = self.refusals.took, self._charge  # type: ignore[method-assign]

    def _charge(self, seconds: float) -> None:
        assert seconds >= 0
        self.charged += 1
        self._took(60.0)

    async def submit(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer once it may."""
        self.begun += 1
        await self.answer.wait()
        await echo(scope, receive, send)

    async def sent(self, *packets: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection on which the packets came, the first of them an application for which there was room."""
        begun = self.begun
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        for packet in packets:
            writer.write(packet)
            await asyncio.sleep(0.02)  # so that they do not come as one
        await soon(lambda: self.begun == begun + 1)
        return reader, writer

    async def waits(self, number: int) -> None:
        """Until so many wait for their refusal."""
        await soon(lambda: len(self.refusals._queue) == number)

    def fill(self, *, spent: bool = True) -> None:
        """Have no room any more, nor time for refusals; what was admitted is answered."""
        self.has_room = False
        if spent:
            self._took(60.0)
        self.answer.set()

    def go_on(self) -> None:
        """Let there be time for one refusal."""
        self.now += DEBT_SECONDS


async def _ready(_: Request) -> Response:
    return JSONResponse({"status": "ready"})


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    async with an_api() as api:
        yield api


@asynccontextmanager
async def an_api() -> AsyncIterator[Api]:
    api, submissions = Api(), unopened_submissions()
    submissions.is_full = lambda: not api.has_room  # type: ignore[method-assign]
    envelope = app.build(api.submit, echo, echo, {"/ready": _ready}, submissions)
    envelope.refusals = api.refusals
    async with an_edge(envelope, Kept) as api.port:
        yield api


@pytest.mark.parametrize("apart", [False, True], ids=["in one piece", "apart"])
async def test_applications_behind_another_are_refused_in_order_without_a_task_each_when_there_is_time(
    api: Api, apart: bool
) -> None:
    shed = metrics.SHED._value.get()
    requests = [POST] * 3 + [HEALTH, READY, POST]
    reader, writer = await api.sent(*(requests if apart else [b"".join(requests)]))
    api.fill()
    statuses = [(await an_answer(reader))[0]]
    await api.waits(1)
    next_answer = asyncio.create_task(an_answer(reader))
    for _ in range(2):
        await asyncio.sleep(0.05)
        assert not next_answer.done()
        api.go_on()
        statuses.append((await next_answer)[0])
        next_answer = asyncio.create_task(an_answer(reader))

    for _ in range(2):
        statuses.append((await next_answer)[0])
        next_answer = asyncio.create_task(an_answer(reader))
    await api.waits(1)
    api.go_on()
    statuses.append((await next_answer)[0])

    writer.close()
    assert statuses == [200, 503, 503, 200, 200, 503]
    assert (api.begun, api.charged) == (1, 3)
    assert metrics.SHED._value.get() == shed + 3


async def test_applications_that_come_together_without_room_are_refused_one_by_one_and_no_further_one_is_read(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Kept, "every", [])
    api.fill()
    reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
    writer.write(POST * 20)
    statuses = []
    for number in range(20):
        await api.waits(1)
        assert (api.charged, len(Kept.every[0].pipeline)) == (number, 0)
        api.go_on()
        statuses.append((await an_answer(reader))[0])

    writer.close()
    assert statuses == [503] * 20
    assert api.begun == 0


async def test_while_there_is_time_an_application_behind_another_is_refused_at_once_and_asked_to_come_again(
    api: Api,
) -> None:
    reader, writer = await api.sent(POST * 2)
    api.fill(spent=False)

    first = await an_answer(reader)
    head = await reader.readuntil(b"\r\n\r\n")

    writer.close()
    assert first[0] == 200
    assert head.startswith(b"HTTP/1.1 503 ")
    assert b"retry-after: " in head.lower()
    assert (api.begun, api.charged) == (1, 1)


async def test_applications_that_were_refused_in_turn_are_freed_without_the_garbage_collector(api: Api) -> None:
    Kept.every.clear()
    gc.collect()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        reader, writer = await api.sent(POST * 2)
        api.fill()
        await an_answer(reader)
        await api.waits(1)
        api.go_on()
        await an_answer(reader)
        writer.close()
        await soon(lambda: value(metrics.HTTP_CONNECTIONS) == 0)
        Kept.every.clear()
        gc.collect()
        cycles = [each for each in gc.garbage if isinstance(each, RequestResponseCycle)]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()

    assert cycles == []


async def test_application_behind_a_refused_one_is_accepted_when_there_is_room_again(api: Api) -> None:
    reader, writer = await api.sent(POST * 3)
    api.fill()
    statuses = [(await an_answer(reader))[0]]
    await api.waits(1)

    api.has_room = True
    api.go_on()
    statuses += [(await an_answer(reader))[0] for _ in range(2)]

    writer.close()
    assert statuses == [200, 503, 200]


@pytest.mark.parametrize("spent", [False, True], ids=["refused at once", "after a wait"])
@pytest.mark.parametrize("received", [0, 40], ids=["none of its body", "a part of its body"])
async def test_late_body_of_an_application_refused_behind_another_is_no_head(
    api: Api, spent: bool, received: int
) -> None:
    request = a_request(body=POST * 2)  # a body that looks like two applications
    cut = len(request) - len(POST * 2) + received
    reader, writer = await api.sent(POST, request[:cut])
    api.fill(spent=spent)
    statuses = [(await an_answer(reader))[0]]
    if spent:
        await api.waits(1)
        api.go_on()
    statuses.append((await an_answer(reader))[0])

    for packet in (request[cut : cut + 100], request[cut + 100 :] + a_request("GET /nowhere")):
        writer.write(packet)
        await asyncio.sleep(0.02)
    statuses.append((await an_answer(reader))[0])

    writer.close()
    assert statuses == [200, 503, 404]


@pytest.mark.parametrize("spent", [False, True], ids=["refused at once", "after a wait"])
@pytest.mark.parametrize("field", [b"Connection: close", b"Expect: 100-continue"])
async def test_connection_ends_behind_a_refusal_after_which_nothing_can_be_read(
    api: Api, spent: bool, field: bytes
) -> None:
    reader, writer = await api.sent(POST + a_request(headers=[field], body=b"{}") + POST)
    api.fill(spent=spent)
    first = (await an_answer(reader))[0]
    if spent:
        await api.waits(1)
        api.go_on()

    rest = await asyncio.wait_for(reader.read(), 10)

    writer.close()
    assert first == 200
    assert rest.startswith(b"HTTP/1.1 503 ")
    assert b"Connection: close" in rest
    assert rest.count(b"HTTP/1.1") == 1


async def test_what_is_no_http_behind_a_waiting_application_is_refused_behind_it(api: Api) -> None:
    reader, writer = await api.sent(POST * 2 + b"no http\r\n\r\n")
    api.fill()
    statuses = [(await an_answer(reader))[0]]
    await api.waits(1)

    api.go_on()
    statuses += [(await an_answer(reader))[0] for _ in range(2)]

    writer.close()
    assert statuses == [200, 503, 400]


async def test_application_whose_body_cannot_be_read_while_it_waits_is_answered_once(api: Api) -> None:
    request, shed = a_request(body=b"{}", chunked=True), metrics.SHED._value.get()
    head = request[: request.index(b"\r\n\r\n") + 4]
    reader, writer = await api.sent(POST + head)
    api.fill()
    statuses = [(await an_answer(reader))[0]]
    await api.waits(1)

    writer.write(b"no chunk\r\n")
    statuses.append((await an_answer(reader))[0])
    api.go_on()
    await api.waits(0)

    assert await asyncio.wait_for(reader.read(), 10) == b""
    writer.close()
    assert statuses == [200, 400]
    assert metrics.SHED._value.get() == shed


async def test_client_that_hangs_up_while_it_waits_behind_its_first_takes_nothing_from_the_others(api: Api) -> None:
    gone_reader, gone = await api.sent(POST * 3)
    reader, writer = await api.sent(POST * 2)
    api.fill()
    assert [(await an_answer(each))[0] for each in (gone_reader, reader)] == [200, 200]
    await api.waits(2)
    gone.transport.abort()
    await soon(lambda: value(metrics.HTTP_CONNECTIONS) == 1)

    api.go_on()
    assert (await an_answer(reader))[0] == 503

    writer.close()
    assert api.charged == 1


async def test_body_of_an_application_that_waits_behind_another_is_not_kept(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Kept, "every", [])
    head, body = a_request(body=b"x" * 60_000).split(b"\r\n\r\n")
    reader, writer = await api.sent(POST)
    api.fill()
    assert (await an_answer(reader))[0] == 200
    writer.write(head[:1])
    await asyncio.sleep(0.02)  # so that it does not come as one
    writer.write(head[1:] + b"\r\n\r\n")
    await api.waits(1)
    writer.write(body)
    await soon(lambda: Kept.every[0]._is_between)

    kept = bytes(Kept.every[0].cycle.body)
    api.go_on()
    answered = (await an_answer(reader))[0]

    writer.close()
    assert (kept, answered) == (b"", 503)


async def test_refusal_behind_another_request_is_on_record_under_its_own_correlation_id(api: Api) -> None:
    reader, writer = await api.sent(POST * 2)
    with capture_logs() as lines:
        api.fill(spent=False)
        statuses = [(await an_answer(reader))[0] for _ in range(2)]

    writer.close()
    assert statuses == [200, 503]
    assert [line["correlation_id"] == line["request_id"] for line in lines if line["event"] == "request"] == [True] * 2


async def test_application_that_waits_behind_another_is_refused_before_the_process_ends() -> None:
    async with an_api() as api:
        reader, writer = await api.sent(POST * 2)
        api.fill()
        await an_answer(reader)
        await api.waits(1)

    assert (await an_answer(reader))[0] == 503
    writer.close()
