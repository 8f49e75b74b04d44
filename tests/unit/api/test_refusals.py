"""`api.refusals` and `api.protocol`: when applications for which there is no room are refused."""

import asyncio
import functools
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from starlette.types import Scope

from harness.waiting import soon
from prequal.api import app
from prequal.api.protocol import WAITING_BYTES_MAX, Protocol
from prequal.api.refusals import (
    AHEAD_SECONDS,
    BURST_SECONDS,
    DEBT_SECONDS,
    LAST_SECONDS,
    LATE_SECONDS,
    LATE_SHARE,
    RETURNS_SHARE,
    SHARE,
    TURN_SECONDS,
    Refusals,
)
from prequal.telemetry import metrics
from tests.support.edge import a_request, an_answer, an_edge, echo
from tests.support.without_stores import unopened_submissions

POST = a_request(body=b'{"pan_number": "ABCPE1234F"}')


def an_api_without_room() -> app.Envelope:
    submissions = unopened_submissions()
    submissions.is_full = lambda: True  # type: ignore[method-assign]
    return app.build(echo, echo, echo, {}, submissions)


class Refused:
    """A connection that waits; each refusal of it takes as many seconds as are given."""

    def __init__(self, refusals: Refusals, takes: float) -> None:
        self._refusals, self._takes = refusals, takes
        self.waited: list[float] = []

    def refuse_now(self, waited_seconds: float) -> None:
        self.waited.append(waited_seconds)
        self._refusals.took(self._takes)


class Counting(Refusals):
    """Counts its turns."""

    turns = 0

    def _turn(self) -> None:
        self.turns += 1
        super()._turn()


class Pipelining:
    """A connection on which the next application comes with each refusal, and must wait as well."""

    def __init__(self, refusals: Refusals) -> None:
        self._refusals = refusals
        self.refused = 0

    def refuse_now(self, waited_seconds: float) -> None:
        self.refused += 1
        self._refusals.took(60.0)
        self._refusals.wait(self)


async def test_turns_are_no_more_however_often_a_connection_that_is_refused_must_wait_again() -> None:
    now = 0.0
    refusals = Counting(lambda: now)
    connection = Pipelining(refusals)
    refusals.took(60.0)
    refusals.wait(connection)
    began = time.monotonic()
    for number in range(10):
        now += DEBT_SECONDS
        await soon(functools.partial(lambda number: connection.refused > number, number))

    assert refusals.turns <= (time.monotonic() - began) / TURN_SECONDS + 1


async def refused(seconds: float, takes: float) -> list[float]:
    """How long those who came first, of a thousand, had waited when they were refused in one turn after so long."""
    now = 0.0
    refusals = Refusals(lambda: now)
    connections = [Refused(refusals, takes) for _ in range(1000)]
    for connection in connections:
        refusals.wait(connection)
    assert not refusals.are_due()
    now = seconds
    await soon(lambda: connections[0].waited)
    return [waited for each in connections for waited in each.waited]


async def test_refusals_take_a_twenty_fifth_of_the_time_then_a_quarter_and_none_waits_for_over_four_seconds() -> None:
    takes = 0.0001
    early, late = await refused(LATE_SECONDS - 0.1, takes), await refused(LATE_SECONDS, takes)
    last = await refused(LAST_SECONDS, takes)

    assert early == [LATE_SECONDS - 0.1] * (round(BURST_SECONDS * SHARE / takes) + 1)
    assert late == [LATE_SECONDS] * (round(BURST_SECONDS * LATE_SHARE / takes) + 1)
    assert last == [LAST_SECONDS] * 1000


async def test_one_long_refusal_puts_off_the_next_by_a_tenth_of_a_second() -> None:
    now = 0.0
    refusals = Refusals(lambda: now)
    refusals.took(60.0)

    assert not refusals.are_due()
    now = DEBT_SECONDS
    assert refusals.are_due()


async def test_retry_after_grows_with_the_time_that_refusals_have_taken() -> None:
    now = 60.0
    refusals = Refusals(lambda: now)
    first = refusals.seconds_ahead()
    refusals.took((5 + BURST_SECONDS) * RETURNS_SHARE)
    much = refusals.seconds_ahead()
    refusals.took(60.0)
    most = refusals.seconds_ahead()
    now += AHEAD_SECONDS

    assert (first, round(much, 6), most, refusals.seconds_ahead()) == (0.0, 5.0, AHEAD_SECONDS, 0.0)


async def test_time_that_other_processes_take_meanwhile_is_no_cost_of_a_refusal() -> None:
    api, took = an_api_without_room(), list[float]()
    refuse, api.refusals.took = api.refuse, took.append  # type: ignore[assignment, method-assign]

    def slowly(scope: Scope, seconds: float) -> bytes:
        time.sleep(0.2)  # the loop waits for the processor
        return refuse(scope, seconds)

    api.refuse = slowly  # type: ignore[method-assign]
    async with an_edge(api, Protocol) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(POST)

        assert (await an_answer(reader))[0] == 503
        writer.close()
    assert took[0] < 0.2


class Broken:
    def refuse_now(self, waited_seconds: float) -> None:
        raise RuntimeError


async def test_failure_at_one_connection_leaves_no_other_waiting() -> None:
    refusals = Refusals()
    other = Refused(refusals, 0.0)
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    refusals.wait(Broken())
    refusals.wait(other)

    await soon(lambda: other.waited)


@dataclass
class Spent:
    """An API that has no room and whose refusals have taken all they may, until its clock goes on."""

    port: int
    refusals: Refusals
    now: list[float]

    async def sent(self, data: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(data)
        return reader, writer

    async def waits(self, number: int) -> None:
        await soon(lambda: len(self.refusals._queue) == number)


@asynccontextmanager
async def a_spent_api() -> AsyncIterator[Spent]:
    now = [0.0]
    api = an_api_without_room()
    api.refusals = Refusals(lambda: now[0])
    api.refusals.took(1.0)
    async with an_edge(api, Protocol) as port:
        yield Spent(port, api.refusals, now)


async def test_application_beyond_the_time_for_refusals_waits_for_its_answer_and_no_other_request_does() -> None:
    seconds, shed = metrics.HTTP_SECONDS.labels("POST", "/applications", "failed"), metrics.SHED
    took, before = seconds._sum.get(), shed._value.get()
    async with a_spent_api() as api:
        reader, writer = await api.sent(POST)
        await api.waits(1)
        other, third = await api.sent(a_request("GET /nowhere"))
        assert (await an_answer(other))[0] == 404
        writer.write(POST + a_request("GET /nowhere"))
        first = asyncio.create_task(an_answer(reader))
        await asyncio.sleep(0)
        assert not first.done()

        api.now[0] = 1.0
        answers = [(await first)[0]]
        api.now[0] = 2.0  # on a busy machine the first refusal takes all that there was
        answers += [(await an_answer(reader))[0] for _ in range(2)]

        writer.close()
        third.close()
    assert answers == [503, 503, 404]
    assert shed._value.get() == before + 2
    assert seconds._sum.get() >= took + 1.0


async def test_body_in_large_pieces_is_refused_at_once_so_that_waiting_connections_hold_little() -> None:
    async with a_spent_api() as api:
        reader, writer = await api.sent(a_request(body=b" " * WAITING_BYTES_MAX))

        assert (await an_answer(reader))[0] == 503
        writer.close()


async def test_connection_goes_on_behind_a_refusal_with_a_late_head_and_body() -> None:
    request = a_request(body=POST)  # a body that looks like an application
    async with a_spent_api() as api:
        reader, writer = await api.sent(request[:40])
        await api.waits(1)
        api.now[0] = 1.0
        await api.waits(0)
        writer.write(request[40 : -len(POST)])
        assert (await an_answer(reader))[0] == 503

        for packet in (POST, a_request("GET /nowhere")):
            writer.write(packet)
            await asyncio.sleep(0.02)  # so that they do not come as one

        assert (await an_answer(reader))[0] == 404
        writer.close()


async def test_waiting_connection_is_refused_before_the_process_ends() -> None:
    async with a_spent_api() as api:
        reader, writer = await api.sent(POST)
        await api.waits(1)

    assert (await an_answer(reader))[0] == 503
    writer.close()


async def test_client_that_hung_up_while_it_waited_takes_nothing_from_the_others() -> None:
    async with a_spent_api() as api:
        _, gone = await api.sent(POST)
        await api.waits(1)
        gone.transport.abort()
        reader, writer = await api.sent(POST)
        await api.waits(2)

        api.now[0] = 1.0
        assert (await an_answer(reader))[0] == 503
        writer.close()


async def test_whether_the_process_lives_is_answered_by_the_protocol_alone_and_goes_before_the_line_of_refusals() -> (
    None
):
    counted = metrics.HTTP_REQUESTS.labels("GET", "/health", "200")
    before = counted._value.get()
    async with a_spent_api() as api:  # whose application has no such route
        _, waiting = await api.sent(POST)
        await api.waits(1)
        reader, writer = await api.sent(a_request("GET /health"))
        first = await an_answer(reader)
        writer.write(a_request("GET /health?of=one"))
        second = await an_answer(reader)
        writer.write(a_request("GET /health", [b"Connection: close"]))
        last = await an_answer(reader)

        assert await reader.read() == b""
        assert len(api.refusals._queue) == 1
        for each in (writer, waiting):
            each.close()
    assert [first, second, last] == [(200, b'{"status":"healthy"}')] * 3
    assert counted._value.get() == before + 3
