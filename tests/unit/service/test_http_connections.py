"""`service.http_connections` and `service.http_protocol`: what rude clients can make a process hold."""

import asyncio
import logging
import resource
import socket
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send
from structlog.testing import capture_logs

from harness.ports import free_port
from harness.waiting import soon
from prequal.service import http_answers, http_connections, http_protocol, http_server
from prequal.service.http_connections import Connections, limits
from prequal.service.http_protocol import FIELDS_MAX, HEAD_BYTES_MAX, PIPELINE_MAX, TARGET_BYTES_MAX
from prequal.telemetry import metrics
from tests.builders import a_service
from tests.support.edge import a_request, an_answer, an_edge, answers, echo, value


def a_head_of(size: int) -> bytes:
    """A request without a body whose headers take so many bytes."""
    request = a_request("GET /a")
    rest = size - (len(request) - len(b"GET /a HTTP/1.1\r\n") - 2)
    return a_request("GET /a", [b"X-Long: " + b"x" * (rest - len(b"X-Long: \r\n"))])


async def in_pieces(port: int, data: bytes, size: int = 1000) -> tuple[int, bytes]:
    """Send data little by little, as far as it is taken, and return the first answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for start in range(0, len(data), size):
            writer.write(data[start : start + size])
            await asyncio.sleep(0)
        return await asyncio.wait_for(an_answer(reader), 30)
    finally:
        writer.close()


# ── heads and targets ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("size", [1000, HEAD_BYTES_MAX * 2], ids=["in pieces", "at once"])
@pytest.mark.parametrize(("length", "status"), [(HEAD_BYTES_MAX, 200), (HEAD_BYTES_MAX + 1, 431)])
async def test_head_of_over_16_kib_is_431(length: int, status: int, size: int) -> None:
    async with an_edge() as port:
        answer = await in_pieces(port, a_head_of(length), size)

    assert answer[0] == status


@pytest.mark.parametrize("size", [1000, HEAD_BYTES_MAX], ids=["in pieces", "at once"])
@pytest.mark.parametrize(("length", "status"), [(TARGET_BYTES_MAX, 200), (TARGET_BYTES_MAX + 1, 414)])
async def test_target_of_over_2_kib_is_414(length: int, status: int, size: int) -> None:
    async with an_edge() as port:
        answer = await in_pieces(port, a_request(f"GET /{'a' * (length - 1)}"), size)

    assert answer[0] == status


@pytest.mark.parametrize(
    ("endless", "status"),
    [(b"GET /a HTTP/1.1\r\nX: ", 431), (b"GET /a HTTP/1.1\r\n" + b"X: y\r\n" * 100, 431), (b"GET /", 414)],
    ids=["a header", "headers", "a target"],
)
async def test_endless_head_is_refused_before_its_end(endless: bytes, status: int) -> None:
    async with an_edge() as port:
        answer = await in_pieces(port, endless + b"x" * 20_000)

    assert answer[0] == status


@pytest.mark.parametrize("size", [100, HEAD_BYTES_MAX], ids=["in pieces", "at once"])
@pytest.mark.parametrize(("number", "status"), [(FIELDS_MAX, 200), (FIELDS_MAX + 1, 431)])
async def test_head_of_over_a_hundred_fields_is_431(number: int, status: int, size: int) -> None:
    own = a_request("GET /a").count(b": ")
    async with an_edge() as port:
        answer = await in_pieces(port, a_request("GET /a", [b"a:"] * (number - own)), size)

    assert answer[0] == status


class Kept(http_protocol.Protocol):
    """Remembers each that reads a connection."""

    every: ClassVar[list["Kept"]] = []

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.every.append(self)
        super().connection_made(transport)


async def test_refused_head_is_not_kept_while_its_answer_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Kept, "every", [])
    async with an_edge(protocol=Kept) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(a_request("GET /a").removesuffix(b"\r\n") + b"a:\r\n" * 4_000)
        status, _ = await asyncio.wait_for(an_answer(reader), 10)
        kept = [each.headers or each.scope["headers"] for each in Kept.every]
        writer.close()

    assert status == 431
    assert kept == [[]]


async def test_body_that_nobody_reads_is_not_kept_after_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Kept, "every", [])

    async def hasty(_: Scope, __: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 404, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body"})

    async with an_edge(hasty, protocol=Kept) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(a_request("PUT /a", body=b"x" * 100_000)[:-1])
        status, _ = await asyncio.wait_for(an_answer(reader), 10)
        kept = [len(each.cycle.body) for each in Kept.every]
        writer.close()

    assert status == 404
    assert kept == [0]


@pytest.mark.parametrize("endless", [b"a:\r\n" * 100, b"a: " + b"a" * 1_000], ids=["fields", "a field"])
async def test_who_sends_trailers_without_end_is_hung_up_on(endless: bytes) -> None:
    async with an_edge(protocol=Refusing) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(a_request("POST /a", body=b"x", chunked=True).removesuffix(b"\r\n") + endless)
        writer.write(endless * 1_000)
        rest = await asyncio.wait_for(reader.read(), 10)
        writer.close()

    assert rest.startswith(b"HTTP/1.1 503")
    assert b"HTTP/1.1 431" in rest


async def test_trailers_are_no_headers() -> None:
    fields: list[int] = []

    async def counting(scope: Scope, receive: Receive, send: Send) -> None:
        before = len(scope["headers"])
        await echo(scope, receive, send)
        fields.append(len(scope["headers"]) - before)

    async with an_edge(counting) as port:
        request = a_request("POST /a", body=b"x", chunked=True).removesuffix(b"\r\n")
        answer = await answers(port, request, b"Authorization: x\r\n\r\n")

    assert answer == [(200, b"POST /a x")]
    assert fields == [0]


async def test_refusal_comes_behind_the_answers_to_the_requests_before_it() -> None:
    async with an_edge() as port:
        both = await answers(port, a_request("GET /a") + a_request(f"GET /{'a' * 3000}"), number=2)

    assert [status for status, _ in both] == [200, 414]


async def test_head_that_is_not_whole_in_time_is_408(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_connections, "HEAD_SECONDS", 0.1)
    async with an_edge() as port:
        [answer] = await answers(port, b"GET /a HTTP/1.1\r\n")

    assert answer == (408, http_answers.WORDS[408].encode())


def test_head_has_ten_seconds_to_come() -> None:
    assert http_connections.HEAD_SECONDS == 10


# ── idle connections ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("sent", [b"", b"\r\n\r\n"], ids=["nothing", "empty lines"])
async def test_connection_on_which_no_request_comes_is_closed(sent: bytes) -> None:
    async with an_edge(http_keep_alive_seconds=1) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)

        rest = await asyncio.wait_for(reader.read(), 30)

        writer.close()
    assert rest == b""


# ── requests that wait on one connection ────────────────────────────────────────────────────────────────────────────


class Slow:
    """Answers one request for each permit; remembers how many came."""

    def __init__(self) -> None:
        self.permits = asyncio.Semaphore(0)
        self.begun = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.begun += 1
        await self.permits.acquire()
        await echo(scope, receive, send)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry for each request that was read, answered or not."""
    made: list[int] = []
    begin = http_protocol.Protocol.on_headers_complete

    def noted(self: http_protocol.Protocol) -> None:
        made.append(1)
        begin(self)

    monkeypatch.setattr(http_protocol.Protocol, "on_headers_complete", noted)
    return made


async def test_at_most_eight_requests_wait_on_a_connection_in_order(made: list[int]) -> None:
    slow, number = Slow(), 200
    async with an_edge(slow) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"".join(a_request("POST /a", body=b"%d" % each) for each in range(number)))
        await soon(lambda: len(made) == 1 + PIPELINE_MAX)
        for _ in range(PIPELINE_MAX // 2 - 1):
            slow.permits.release()
            await an_answer(reader)
        waiting = len(made)

        for _ in range(number):
            slow.permits.release()
        rest = [await an_answer(reader) for _ in range(number - PIPELINE_MAX // 2 + 1)]

        writer.close()
    assert waiting == 1 + PIPELINE_MAX  # no more is read until half are answered
    assert rest[-1] == (200, b"POST /a 199")
    assert len(made) == number


async def test_client_that_reads_nothing_is_cut(monkeypatch: pytest.MonkeyPatch, made: list[int]) -> None:
    monkeypatch.setattr(http_connections, "UNREAD_SECONDS", 0.1)
    cut = metrics.HTTP_CONNECTIONS_CLOSED.labels("unread")
    before = cut._value.get()
    async with an_edge() as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1)
        with pytest.raises(ConnectionError):
            await forever(writer, a_request("POST /a", body=b"x" * 10_000))
        writer.close()

    assert cut._value.get() == before + 1


class Narrow(Kept):
    """Has the kernel take little, so that what a client does not read stays here."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        super().connection_made(transport)


async def a_long_answer(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with what no socket's buffers take, but less than what makes uvloop ask for a pause."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"50000")]})
    await send({"type": "http.response.body", "body": b"x" * 50_000})


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> list[Kept]:
    """The connections of `Narrow`, whose clients have half a second to read."""
    monkeypatch.setattr(http_connections, "UNREAD_SECONDS", 0.5)
    monkeypatch.setattr(Kept, "every", [])
    return Kept.every


async def who_reads_nothing(port: int, narrow: list[Kept]) -> socket.socket:
    """A client that has asked and does not read the answer, a part of which waits here for it."""
    before = len(narrow)
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    await asyncio.to_thread(client.connect, ("127.0.0.1", port))
    client.sendall(a_request("GET /a"))
    await soon(lambda: [each for each in narrow[before:] if each.cycle is not None and each.cycle.response_complete])
    return client


async def test_idle_client_that_leaves_the_rest_of_its_answer_unread_is_cut(narrow: list[Kept]) -> None:
    async with an_edge(a_long_answer, protocol=Narrow, http_keep_alive_seconds=1) as port:
        with await who_reads_nothing(port, narrow):
            rest = narrow[0].transport.get_write_buffer_size()
            await soon(lambda: value(metrics.HTTP_CONNECTIONS) == 0, 10)

    assert 0 < rest <= 65_536


async def test_client_that_leaves_the_rest_of_its_answer_unread_makes_room_for_others(narrow: list[Kept]) -> None:
    async with an_edge(a_long_answer, protocol=Narrow, http_connections_max=1) as port:
        with await who_reads_nothing(port, narrow), await who_reads_nothing(port, narrow):
            await soon(lambda: value(metrics.HTTP_CONNECTIONS) == 1, 10)
            left = [each.transport.is_closing() for each in narrow]

    assert left == [True, False]


async def test_client_that_leaves_the_rest_of_its_answer_unread_does_not_hold_up_the_end(narrow: list[Kept]) -> None:
    async with an_edge(a_long_answer, protocol=Narrow, shutdown_seconds=20) as port:
        client = await who_reads_nothing(port, narrow)
        began = asyncio.get_running_loop().time()
    seconds = asyncio.get_running_loop().time() - began
    client.close()

    assert seconds < 10


async def test_client_that_leaves_an_answer_unread_that_broke_off_is_cut(narrow: list[Kept]) -> None:
    async def broken(_: Scope, __: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"50001")]})
        await send({"type": "http.response.body", "body": b"x" * 50_000, "more_body": True})

    async with an_edge(broken, protocol=Narrow) as port:
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            await asyncio.to_thread(client.connect, ("127.0.0.1", port))
            client.sendall(a_request("GET /a"))
            await soon(lambda: narrow and narrow[0].transport.is_closing())
            rest = narrow[0].transport.get_write_buffer_size()
            await soon(lambda: value(metrics.HTTP_CONNECTIONS) == 0, 10)

    assert 0 < rest <= 65_536


async def test_client_that_hangs_up_on_several_requests_is_no_fault(
    narrow: list[Kept], caplog: pytest.LogCaptureFixture
) -> None:
    slow = Slow()
    async with an_edge(slow, protocol=Kept) as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(a_request("GET /a") * 2)
        await soon(lambda: narrow and narrow[0].pipeline)
        writer.close()
        await soon(lambda: value(metrics.HTTP_CONNECTIONS) == 0)
        slow.permits.release()
        await soon(lambda: not narrow[0].tasks)

    assert slow.begun == 1
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_first_of_several_requests_hears_that_its_client_has_hung_up(narrow: list[Kept]) -> None:
    heard: list[str] = []

    async def listening(_: Scope, receive: Receive, __: Send) -> None:
        while not heard or heard[-1] == "http.request":
            heard.append((await receive())["type"])

    async with an_edge(listening, protocol=Kept) as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(a_request("GET /a") * 2)
        await soon(lambda: narrow and narrow[0].pipeline)
        writer.close()
        await soon(lambda: heard[-1:] == ["http.disconnect"])

    assert heard == ["http.request", "http.disconnect"]


class Refusing(http_protocol.Protocol):
    """Answers each request at once, in 16 KiB, and counts its answers."""

    answered = 0

    def answer_at_once(self, method: bytes, path: bytes, scope: Any) -> bytes | None:
        type(self).answered += 1
        return http_answers.answer(503, b"x" * 16_384, {})


async def test_who_reads_no_refusals_is_read_no_further_until_he_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Refusing, "answered", 0)
    paused: list[int] = []
    pause = Refusing.pause_writing

    def noted(self: Refusing) -> None:
        paused.append(1)
        pause(self)

    monkeypatch.setattr(Refusing, "pause_writing", noted)
    number = 2000
    async with an_edge(protocol=Refusing) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(a_request("GET /a") * number)
        await soon(lambda: paused)
        held_back = number - Refusing.answered

        writer.write(a_request("GET /a"))
        answers_read = [(await an_answer(reader))[0] for _ in range(number + 1)]

        writer.close()
    assert held_back > number // 4  # what the sockets' buffers take is answered
    assert answers_read == [503] * (number + 1)


async def forever(writer: asyncio.StreamWriter, data: bytes) -> None:
    """Send the same again and again."""
    while True:
        writer.write(data)
        await asyncio.wait_for(writer.drain(), 30)


# ── room ────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def connections_to(port: int, number: int) -> list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    return [await asyncio.open_connection("127.0.0.1", port) for _ in range(number)]


async def test_at_the_limit_the_longest_idle_connection_goes_and_one_line_says_so() -> None:
    with capture_logs() as lines:
        async with an_edge(http_connections_max=16) as port:
            silent = await connections_to(port, 40)

            [answer] = await answers(port, a_request("GET /a"))

            first = await asyncio.wait_for(silent[0][0].read(), 10)
            for _, writer in silent:
                writer.close()
    assert (answer, first) == ((200, b"GET /a "), b"")
    assert [line["event"] for line in lines].count("connections_at_limit") == 1


async def test_when_all_connections_are_busy_a_new_one_is_answered_probes_alone() -> None:
    slow = Slow()
    async with an_edge(slow, http_connections_max=16) as port:
        busy = await connections_to(port, 16)
        for _, writer in busy:
            writer.write(a_request("POST /a"))
        await soon(lambda: slow.begun == 16)
        slow_probe = asyncio.create_task(answers(port, a_request("GET /health")))
        await soon(lambda: slow.begun == 17)

        [refused] = await answers(port, a_request("GET /a"))

        for _ in range(17):
            slow.permits.release()
        [probed] = await slow_probe
        for _, writer in busy:
            writer.close()
    assert (refused[0], probed[0]) == (503, 200)


async def test_many_who_connect_at_once_are_let_in_within_few_turns_of_a_busy_loop() -> None:
    async with an_edge() as port:
        clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(300)]
        turns = 0
        while value(metrics.HTTP_CONNECTIONS) < len(clients) and turns < 1000:
            turns += 1
            await asyncio.sleep(0)

        for client in clients:
            client.close()
    assert turns < 100


class Client:
    """A connection whose client neither sends nor reads anything: it ends when it is cut."""

    def __init__(self) -> None:
        self.transport: Any = self
        self.is_cut = False

    def get_extra_info(self, _: str) -> None:
        """It has no TLS."""

    def close(self) -> None:
        """What was written waits for its reader."""

    def abort(self) -> None:
        self.is_cut = True

    def late(self) -> None: ...


async def test_nobody_is_cut_among_many_who_come_in_one_turn_while_others_make_room() -> None:
    connections, clients = Connections(100, 75), [Client() for _ in range(228)]

    rooms = [connections.opened(each) for each in clients]

    assert all(rooms)
    assert not any(each.is_cut for each in clients)


def closed() -> dict[str, float]:
    """How many connections were closed, by reason."""
    [family] = metrics.HTTP_CONNECTIONS_CLOSED.collect()
    return {each.labels["reason"]: each.value for each in family.samples if each.name.endswith("_total")}


@pytest.mark.parametrize(
    ("limit", "idle_seconds", "number", "reason"),
    [(1, 0, 1, "idle"), (1, 75, 2, "room"), (0, 0, 1, "refused")],
    ids=["idle", "room", "refused"],
)
async def test_connection_that_is_cut_after_it_was_closed_is_counted_once(
    monkeypatch: pytest.MonkeyPatch, limit: int, idle_seconds: int, number: int, reason: str
) -> None:
    monkeypatch.setattr(http_connections, "SWEEP_SECONDS", 0.01)
    monkeypatch.setattr(http_connections, "UNREAD_SECONDS", 0)
    before, connections, clients = closed(), Connections(limit, idle_seconds), [Client() for _ in range(number)]
    for client in clients:
        connections.opened(client)
    spoken = clients[0]
    if number == 1:  # its first byte has come
        spoken = Client()
        connections.replace(clients[0], spoken)
    watching = asyncio.create_task(connections.watch())
    await soon(lambda: spoken.is_cut)

    watching.cancel()
    connections.closed(spoken)
    counted = {each: count - before.get(each, 0) for each, count in closed().items()}
    assert {each: count for each, count in counted.items() if count} == {reason: 1}


async def test_late_head_is_counted_once_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_connections, "SWEEP_SECONDS", 0.01)
    monkeypatch.setattr(Kept, "every", [])
    late = metrics.HTTP_CONNECTIONS_CLOSED.labels("head")
    before = late._value.get()
    async with an_edge(protocol=Kept) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /a HT")
        await soon(lambda: Kept.every)
        Kept.every[0].flow.pause_reading()  # as while answers wait for their reader
        monkeypatch.setattr(http_connections, "HEAD_SECONDS", 0.05)
        await asyncio.sleep(0.3)
        while_not_read = late._value.get()
        Kept.every[0].flow.resume_reading()

        assert (await an_answer(reader))[0] == 408
        writer.close()
    assert (while_not_read, late._value.get()) == (before, before + 1)


async def test_connections_are_counted() -> None:
    async with an_edge(http_connections_max=100) as port:
        open_ones = await connections_to(port, 7)
        await soon(lambda: value(metrics.HTTP_CONNECTIONS) >= 7)
        for _, writer in open_ones:
            writer.close()

        await soon(lambda: value(metrics.HTTP_CONNECTIONS) == 0)

    assert value(metrics.HTTP_CONNECTIONS_LIMIT) == 100


@pytest.fixture
def few_descriptors() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.usefixtures("few_descriptors")
def test_descriptors_are_kept_for_stores_probes_and_what_is_accepted_at_once() -> None:
    most, backlog = limits(8192, 2048)

    assert most + backlog + http_connections.PROBES_MAX <= 1024 - 100
    assert most >= 500


@pytest.mark.parametrize("number", [10, 100])
def test_limit_of_the_setting_is_kept_where_descriptors_allow_it(number: int) -> None:
    assert limits(number, 128)[0] == number


async def test_process_does_not_work_on_without_a_watch_over_its_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(_: Connections) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(Connections, "watch", fail)
    settings = a_service().model_copy(update={"http_port": free_port()})

    with pytest.raises(RuntimeError, match="a bug"):
        await asyncio.wait_for(http_server.serve(echo, settings, asyncio.Event()), 30)


async def test_process_without_a_descriptor_left_accepts_again_when_it_has_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "ACCEPT_AGAIN_SECONDS", 0.05)
    looks = []
    accept = http_server._Server._accept

    def counted(self: http_server._Server, listener: socket.socket) -> None:
        looks.append(1)
        accept(self, listener)

    monkeypatch.setattr(http_server._Server, "_accept", counted)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    async with an_edge() as port:
        with socket.socket() as client:
            client.setblocking(False)
            try:
                resource.setrlimit(resource.RLIMIT_NOFILE, (client.fileno(), hard))
                before = len(looks)
                client.connect_ex(("127.0.0.1", port))  # by the loop it would have a codec imported
                await asyncio.sleep(0.3)
                refused = len(looks) - before
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        [(status, _)] = await answers(port, a_request("GET /a"))

    assert 1 <= refused <= 7
    assert status == 200


# ── what an idle server does ──────────────────────────────────────────────────────────────────────────────────────────


async def test_idle_server_wakes_once_a_second_for_its_date(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks: list[int] = []
    tick = uvicorn.Server.on_tick

    async def counted(self: uvicorn.Server, counter: int) -> bool:
        ticks.append(counter)
        return await tick(self, counter)

    monkeypatch.setattr(uvicorn.Server, "on_tick", counted)
    async with an_edge():
        before = len(ticks)
        await asyncio.sleep(0.5)

        assert len(ticks) - before <= 1


async def test_date_of_an_answer_follows_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "DATE_EVERY_SECONDS", 0.01)
    clock = [1_000_000_000.0]
    monkeypatch.setattr(uvicorn.server, "time", SimpleNamespace(time=lambda: clock[0]))

    async def says(port: int, date: bytes) -> bool:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(a_request())
        head = await reader.readuntil(b"\r\n\r\n")
        writer.close()
        return b"date: " + date in head.lower()

    async with an_edge() as port:
        await soon(lambda: says(port, b"sun, 09 sep 2001 01:46:40 gmt"))
        clock[0] += 1

        await soon(lambda: says(port, b"sun, 09 sep 2001 01:46:41 gmt"))
