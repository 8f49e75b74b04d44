"""Clients that are rude: they begin what they do not end, read nothing, or say nothing.

Invariant: what is demanded of the API's memory is a ratio to what the same process took before them.
"""

import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Final

import psutil

from faults.build import DESCRIPTORS_MAX
from faults.plan import SHORT
from faults.scenario import Run, Spoilt, scenario
from harness.waiting import eventually

ROW: Final = 28
MEMORY: Final = 1.2
RUDE_SECONDS: Final = 8.0
LIMIT: Final = 1_000
DESCRIPTORS: Final = 1_024
"""A shell's own limit, which stores and logs share with the connections."""
UNREAD_REQUESTS: Final = 200_000
AT_ONCE: Final = 8
ANSWERED_SECONDS: Final = 5.0
ENOUGH_BYTES: Final = 64 * 1024
"""More than any part of a request may have."""
HALVES: Final = 1_000
LATE_SECONDS: Final = 20.0
"""Within which all of them are answered that their requests are late: ten seconds, and what a busy machine adds."""
POST: Final = b"POST /applications HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
LATE, HEAD_TOO_LARGE, TOO_LARGE = "408", "431", "413"
WITHOUT_END: Final = {
    "head-without-end": (POST, b"X-A: %b\r\n" % (b"a" * 1_000), HEAD_TOO_LARGE),
    "body-without-end": (
        POST + b"Transfer-Encoding: chunked\r\n\r\n",
        b"10000\r\n%b\r\n" % (b" " * 65_536),
        TOO_LARGE,
    ),
    "trailers-without-end": (
        POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n0\r\n",
        b"a:\r\n" * 16_000,
        HEAD_TOO_LARGE,
    ),
    "length-without-end": (POST + b"Content-Length: 99999999999\r\n\r\n", b" " * 65_536, TOO_LARGE),
}
"""What a client begins with, what it then sends again and again, and the status that it is answered."""
HALF: Final = {
    "half-a-head": (POST + b"X-A: " + b"a" * 200, LATE),
    "half-a-head-of-short-fields": (POST + b"a:\r\n" * 4_000, HEAD_TOO_LARGE),
    "half-a-body": (POST + b"Content-Length: 200\r\n\r\n{", LATE),
}
"""What a thousand clients send of a request, and nothing more, and the status that each is answered."""


@scenario(ROW, "client-that-reads-nothing", volume=SHORT, own_system=True, takes_minutes=True)
def reads_nothing(run: Run) -> None:
    """A client sends requests by the hundred thousand and reads no answer."""
    run.load()
    run.sent()
    with memory_bounded(run), socket.create_connection(("127.0.0.1", run.system.ports["api"])) as line:
        line.settimeout(RUDE_SECONDS)
        request = b"GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n"
        try:
            line.sendall(request * UNREAD_REQUESTS)
        except TimeoutError:
            pass  # it is not read either, which is right
        else:
            raise Spoilt("all of it was read")
        run.load()
        run.sent()
        run.demand_soon(lambda: _is_hung_up_on(line), 30, "the client is still connected")
    run.demand_all_accepted()
    normal_again(run)


def _is_hung_up_on(line: socket.socket) -> bool:
    try:
        line.send(b"x")
    except (ConnectionError, BrokenPipeError):
        return True
    except TimeoutError:
        return False
    return False


@scenario(ROW, "silent-to-the-limit", volume=SHORT, own_system=True, takes_minutes=True)
def silent(run: Run) -> None:
    """More connections than there may be are opened, and nothing comes on them."""
    run.system.restart("api", HTTP_CONNECTIONS_MAX=str(LIMIT))
    _silent(run, LIMIT)


@scenario(ROW, "silent-to-the-last-descriptor", volume=SHORT, own_system=True, takes_minutes=True)
def silent_without_descriptors(run: Run) -> None:
    """More connections are opened than the API may open descriptors, and nothing comes on them."""
    run.system.restart("api", **{DESCRIPTORS_MAX: str(DESCRIPTORS)})
    _silent(run, DESCRIPTORS)


def _silent(run: Run, most: int) -> None:
    """Open more than `most` silent connections, of which there is room for fewer where descriptors are short."""
    run.load()
    run.sent()
    with memory_bounded(run), ExitStack() as lines:
        for _ in range(most + 200):
            lines.enter_context(socket.create_connection(("127.0.0.1", run.system.ports["api"])))
        limit = run.system.metric("api", "http_connections_limit")
        eventually(lambda: run.system.metric("api", "http_connections{") >= limit - 50)
        health = run.system.get("api", "/health").status_code
        run.demand(health == 200, f"/health was {health} beside {most} silent connections")
        run.load()
        run.sent()
        closed = run.system.metric("api", "http_connections_closed_total", 'reason="room"')
        run.demand(closed > 0, "nobody made room")
    run.demand_all_accepted()
    normal_again(run)
    run.system.restart("api")


def without_end(first: bytes, then: bytes, status: str) -> Callable[[Run], None]:
    """A few clients begin a request and send on and on; who is answered, as all must be, connects again."""

    def act(run: Run) -> None:
        run.load()
        run.sent()
        answers, over = Counter[str](), time.monotonic() + RUDE_SECONDS
        clients = [
            threading.Thread(target=_send_on, args=(run, first, then, over, answers), daemon=True)
            for _ in range(AT_ONCE)
        ]
        with memory_bounded(run):
            for client in clients:
                client.start()
            run.load()
            for client in clients:
                client.join()
        _demand_answers(run, answers, status)
        run.demand_all_accepted()
        normal_again(run)

    return act


def _send_on(run: Run, first: bytes, then: bytes, over: float, answers: Counter[str]) -> None:
    while time.monotonic() < over:
        with socket.create_connection(("127.0.0.1", run.system.ports["api"])) as line:
            line.settimeout(RUDE_SECONDS)
            with suppress(ConnectionError, TimeoutError):  # hung up on, or not read any more: both are right
                line.sendall(first)
                sent = 0
                while sent < ENOUGH_BYTES or time.monotonic() < over:
                    line.sendall(then)
                    sent += len(then)
            answers[_answer(line, time.monotonic() + ANSWERED_SECONDS)] += 1


def half_sent(half: bytes, status: str) -> Callable[[Run], None]:
    """A thousand clients send a part of a request, and wait."""

    def act(run: Run) -> None:
        run.load()
        run.sent()
        with memory_bounded(run), ExitStack() as lines:
            waiting = [
                lines.enter_context(socket.create_connection(("127.0.0.1", run.system.ports["api"])))
                for _ in range(HALVES)
            ]
            for line in waiting:
                line.sendall(half)
            run.load()
            over = time.monotonic() + LATE_SECONDS
            _demand_answers(run, Counter(_answer(line, over) for line in waiting), status)
            run.sent()
        run.demand_all_accepted()
        normal_again(run)

    return act


def _answer(line: socket.socket, over: float) -> str:
    """The status that a client is answered, or in words what came instead."""
    line.settimeout(max(0.01, over - time.monotonic()))
    try:
        return line.recv(64)[9:12].decode() or "hung up"
    except ConnectionError:
        return "cut"
    except TimeoutError:
        return "nothing"


def _demand_answers(run: Run, answers: Counter[str], status: str) -> None:
    print(f"    {run.scenario.name}: answered {dict(answers)}", flush=True)
    run.demand({*answers} == {status}, f"clients were answered {dict(answers)}, not {status} alone")


for name, (first, then, status) in WITHOUT_END.items():
    scenario(ROW, name, volume=SHORT, own_system=True, takes_minutes=True)(without_end(first, then, status))
for name, (half, status) in HALF.items():
    scenario(ROW, name, volume=SHORT, own_system=True, takes_minutes=True)(half_sent(half, status))


def normal_again(run: Run) -> None:
    """Demand that every service is ready within five seconds, and that what is posted then is taken."""
    run.demand_ready(5)
    run.load()
    run.come_to_rest()
    run.demand_all_accepted()


@contextmanager
def memory_bounded(run: Run) -> Iterator[None]:
    """Demand that the API takes hardly more memory than before, at any moment of the block."""
    process, over, most = psutil.Process(run.system.child("api").pid), threading.Event(), [0]
    before = process.memory_info().rss

    def look() -> None:
        while not over.wait(0.1):
            most[0] = max(most[0], process.memory_info().rss)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    mib = f"{before / 2**20:.0f} to {most[0] / 2**20:.0f} MiB"
    print(f"    {run.scenario.name}: the API's memory went from {mib}", flush=True)
    run.demand(most[0] < before * MEMORY, f"the API's memory went from {mib}")
