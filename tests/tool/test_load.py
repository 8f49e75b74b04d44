"""What the load client of `bench` reports: latencies from when a request was due, and how sure it is of them."""

import asyncio
import contextlib
import json
import os
import re
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from itertools import chain, repeat

import pytest

from bench.load import Accepted, Seen, burst, first_look, report, steady
from bench.measures import cpu_seconds_of_all

STALL_SECONDS = 0.08
RATE = 500.0


@asynccontextmanager
async def an_api(pending: int = 0, stalls: Iterable[float] = ()) -> AsyncIterator[int]:
    """Accepts all, says PENDING to the first looks, stalls the loop that its client is on too; its port."""
    stalled = chain(stalls, repeat(0.0))
    looks: Counter[str] = Counter()

    async def answer(head: str, reader: asyncio.StreamReader) -> tuple[int, object]:
        if length := re.search(r"Content-Length: (\d+)", head):
            await reader.readexactly(int(length[1]))
            time.sleep(next(stalled))  # noqa: ASYNC251
            return 202, {"application_id": str(uuid.uuid4())}
        looks[path := head.split()[1]] += 1
        return 200, {"status": "PENDING" if looks[path] <= pending else "REJECTED"}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError), contextlib.closing(writer):
            while True:
                status, said = await answer((await reader.readuntil(b"\r\n\r\n")).decode(), reader)
                body = json.dumps(said).encode()
                writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await asyncio.sleep(0)


async def test_post_that_is_sent_late_counts_from_when_it_was_due() -> None:
    seen = Seen()

    async with an_api(stalls=[STALL_SECONDS]) as port:
        await steady(port, RATE, 20 / RATE, 1, 1, seen)

    # While the first is answered, all others fall due: even the last has waited for what is left of the stall.
    least = STALL_SECONDS - 20 / RATE
    assert len(seen.posts) == 20
    assert sum(seconds > least for seconds in seen.posts) >= 19
    assert sum(seconds > least for seconds in seen.wholes) >= 19
    assert sum(seconds > least / 2 for seconds in seen.late) >= 18


async def test_burst_watches_those_that_it_is_asked_to_and_ends_in_time() -> None:
    counted, timed = Seen(), Seen()

    async with an_api(pending=2) as port:
        await burst(port, 40, 4, 1, counted, sample=10)
        await burst(port, 1_000_000, 4, 1, timed, seconds=0.1)

    assert (len(counted.accepted), len(counted.finals)) == (40, 4)
    assert 0 < len(timed.accepted) < 1_000_000
    assert timed.finals == []


def test_final_status_counts_from_the_middle_of_two_looks() -> None:
    seen = Seen()

    seen.add_final(Accepted("a", due=10.0, at=10.5), pending=11.0, final=11.5)

    assert (seen.finals, seen.wholes, seen.errors) == ([0.75], [1.25], [0.25])


@pytest.mark.parametrize(("due", "seconds", "late"), [(9.0, 3.0, 1.0), (10.5, 2.0, 0.0), (None, 2.0, 0.0)])
def test_post_counts_from_the_earlier_of_due_and_sent(due: float | None, seconds: float, late: float) -> None:
    seen = Seen()

    seen.add_post(due, sent=10.0, answered=12.0)

    assert (seen.posts, seen.late) == ([seconds], [late])


def test_first_look_comes_before_the_shortest_of_the_last_finals() -> None:
    assert first_look([]) == 0
    assert first_look([0.001, *[0.010] * 19]) == pytest.approx(0.0006)
    assert first_look([0.001, *[0.010] * 20]) == pytest.approx(0.006)


def test_clients_own_cpu_and_memory_are_in_the_report(capsys: pytest.CaptureFixture[str]) -> None:
    processes = {"api": {"pid": os.getpid()}}
    before = cpu_seconds_of_all(processes)

    report(Seen(accepted={uuid.uuid4(): {}}), 1.0, processes, before)

    assert re.search(r"\n  client +\d+ MiB +\d+ CPU µs a decision\n", capsys.readouterr().out)
