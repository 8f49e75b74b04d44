"""A crowd of lenders' apps in a process of its own: in a closed loop each waits for its answer, in an open one none.

    python -m harness.crowd PORT CONNECTIONS SECONDS FILE          closed: so many connections, each posts, waits, posts
    python -m harness.crowd PORT CONNECTIONS SECONDS FILE RATE     open: so many posts a second come due, whatever is
                                                                   answered, and are sent while a connection is idle,
                                                                   as by a balancer; its answers are waited for

Prints one JSON object, `Seen`, and writes each post to FILE, a line of JSON each, with what became of it (`Sent`).

Invariant: bounded in connections and time; what was sent and not answered is in the file too, and what came due and was
not sent is counted.
"""

import asyncio
import json
import random
import re
import sys
import time
from collections import defaultdict
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, cast

import httptools
import uvloop

from harness.applications import drawn_applications
from harness.client import Connection
from harness.collector import uncollected
from harness.probing import Prober

UNANSWERED: Final = (OSError, EOFError, httptools.HttpParserError)
AGAIN_SECONDS: Final = 0.5
"""After which an app that was hung up on connects again."""
NO_TIME_LEFT_SECONDS: Final = 3.5
"""After which an app that is answered 503 may have been committed: its time is over before its answer is known."""
WARM_SECONDS: Final = 4.0
"""Before what is counted begins; all have connected by the half of it."""
TICK_SECONDS: Final = 0.005
LAST_ANSWERS_SECONDS: Final = 10.0
"""How long an open loop waits in the end for what it has sent."""
LENGTH: Final = re.compile(rb"\r\ncontent-length: (\d+)\r\n", re.IGNORECASE)
WAIT: Final = re.compile(rb"\r\nretry-after: (\d+)\r\n", re.IGNORECASE)


@dataclass
class Seen:
    """What the crowd saw, and how many cores it took itself."""

    connections: int
    offered_a_second: float
    """Posts that were sent."""
    not_sent: int
    """Posts of an open loop that came due while each connection had one on its way."""
    accepted: int
    """From the beginning, where the figures by the second leave out how it gets going."""
    in_doubt: int
    """Posts that were never answered, or with 503 when their time was over: they may have been committed."""
    accepted_a_second: float
    refused_a_second: float
    lost: int
    """Connections that were refused or cut, from the beginning."""
    other: int
    accepted_p50_seconds: float
    accepted_p99_seconds: float
    refused_p50_seconds: float
    retry_after_seconds: list[int]
    """The waits that refusals asked for, each once."""
    probes: int
    """Of `/health` and `/ready` together, those that came due and were answered with 200."""
    probes_wrong: int
    """Those that were answered otherwise, or cut."""
    probe_p99_seconds: float
    """From when each was due; one without an answer has waited until the end."""
    client_cores: float


@dataclass
class Sent:
    """One post."""

    at: float
    body: dict[str, Any]
    answered_at: float | None = None
    status: int | None = None
    answer: str = ""

    @property
    def seconds(self) -> float | None:
        """What its answer took; None without one."""
        return None if self.answered_at is None else self.answered_at - self.at

    @property
    def is_in_doubt(self) -> bool:
        """Whether it may be in the database though it was not answered 202."""
        return self.seconds is None or (self.status == 503 and self.seconds > NO_TIME_LEFT_SECONDS)


@dataclass(slots=True)
class Prepared:
    """A post of an open loop before it is sent."""

    body: dict[str, Any]
    request: bytes


class App(Connection):
    """A connection that knows for how long it was asked to wait."""

    retry_after = 1.0

    def __init__(self, waits: set[int]) -> None:
        super().__init__()
        self._waits = waits

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep the wait."""
        if name.lower() == b"retry-after":
            self.retry_after = float(value)
            self._waits.add(int(value))


class Line(asyncio.Protocol):
    """A connection of an open loop: one post at a time, its answer found by hand; idle again by itself."""

    transport: asyncio.Transport

    def __init__(self, crowd: "Crowd") -> None:
        self._crowd = crowd
        self._sent: Sent | None = None
        self._come = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for a post."""
        self.transport = cast("asyncio.Transport", transport)
        self._crowd.open.append(self)
        self._crowd.idle.append(self)

    def post(self, prepared: Prepared) -> None:
        """Send one."""
        self._sent = Sent(time.time(), prepared.body)
        self._crowd.sent.append(self._sent)
        self.transport.write(prepared.request)

    def data_received(self, data: bytes) -> None:
        """Note the answer once it is whole."""
        self._come += data
        end = self._come.find(b"\r\n\r\n") + 4
        if end < 4 or self._sent is None or (length := LENGTH.search(self._come)) is None:
            return
        if len(self._come) >= end + int(length[1]):
            self._sent.answered_at, self._sent.status = time.time(), int(self._come[9:12])
            self._sent.answer = self._come[end:].decode()
            if (wait := WAIT.search(self._come, 0, end)) is not None:
                self._crowd.waits.add(int(wait[1]))
            self._sent, self._come = None, b""
            self._crowd.idle.append(self)

    def connection_lost(self, _: BaseException | None) -> None:
        """Count it; a new one takes its place when it is needed."""
        self._crowd.lines -= 1
        self._crowd.lost += 1
        self._crowd.open.remove(self)
        if self in self._crowd.idle:
            self._crowd.idle.remove(self)


@dataclass
class Crowd:
    """All of it."""

    port: int
    connections: int
    seconds: float
    rate: float | None = None
    sent: list[Sent] = field(default_factory=list)
    lost: int = 0
    not_sent: int = 0
    waits: set[int] = field(default_factory=set)
    open: list[Line] = field(default_factory=list)
    idle: list[Line] = field(default_factory=list)
    lines: int = 0
    """Of an open loop, the connections that are open or will be."""

    def __post_init__(self) -> None:
        self.prober = Prober(self.port)

    async def run(self) -> Seen:
        """Post for as long as it is to, after a while in which it gets going."""
        self._source = drawn_applications(random.randrange(1 << 30))
        work = [self._app() for _ in range(self.connections)] if self.rate is None else [self._open_loop(self.rate)]
        tasks = [asyncio.create_task(each) for each in (*work, self.prober.run())]
        await asyncio.sleep(WARM_SECONDS)
        began, cpu, self.not_sent = time.time(), time.process_time(), 0
        await asyncio.sleep(self.seconds)
        cores = (time.process_time() - cpu) / self.seconds
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._last_answers()
        seen = self._summed(began, cores)
        for line in self.open:
            line.transport.close()
        return seen

    async def _app(self) -> None:
        await asyncio.sleep(random.random() * WARM_SECONDS / 2)
        while True:
            try:
                with closing(await self._connected()) as app:
                    while True:
                        if await self._post(app) == 503:
                            await asyncio.sleep(app.retry_after * random.uniform(0.9, 1.1))
            except UNANSWERED:
                self.lost += 1
                await asyncio.sleep(AGAIN_SECONDS)

    async def _open_loop(self, rate: float) -> None:
        prepared = self._prepared(round(rate * (WARM_SECONDS + self.seconds)))
        posts, began = 0, time.monotonic()
        async with asyncio.TaskGroup() as connecting:
            while True:
                due = min(round((time.monotonic() - began) * rate), len(prepared))
                while posts < due and self.idle:
                    self.idle.pop().post(prepared[posts])
                    posts += 1
                more = min(due - posts, self.connections - self.lines)
                for _ in range(more):
                    self.lines += 1
                    connecting.create_task(self._connect())
                if not more and self.lines >= self.connections:
                    self.not_sent += due - posts
                    posts = due
                await asyncio.sleep(TICK_SECONDS)

    async def _last_answers(self) -> None:
        """Wait until what an open loop has sent is answered."""
        ends = time.monotonic() + LAST_ANSWERS_SECONDS
        while len(self.idle) < self.lines and time.monotonic() < ends:
            await asyncio.sleep(TICK_SECONDS)

    def _prepared(self, count: int) -> list[Prepared]:
        """So many posts as they will be written."""
        return [Prepared(body, _request(body)) for body, _ in zip(self._source, range(count), strict=False)]

    async def _connect(self) -> None:
        try:
            await asyncio.get_running_loop().create_connection(lambda: Line(self), "127.0.0.1", self.port)
        except OSError:
            self.lines -= 1
            self.lost += 1

    async def _connected(self) -> App:
        loop = asyncio.get_running_loop()
        return (await loop.create_connection(lambda: App(self.waits), "127.0.0.1", self.port))[1]

    async def _post(self, app: App) -> int:
        sent = Sent(time.time(), next(self._source))
        self.sent.append(sent)
        answer = await app.post("/applications", json.dumps(sent.body).encode())
        sent.answered_at, sent.status = time.time(), answer.status
        sent.answer = answer.body.decode(errors="replace")
        return answer.status

    def _summed(self, began: float, cores: float) -> Seen:
        # As many are on their way at the beginning as at the end: counted is what was answered in between.
        took: dict[int | None, list[float]] = defaultdict(list)
        for each in self.sent:
            if each.seconds is not None and began <= cast("float", each.answered_at) <= began + self.seconds:
                took[each.status].append(each.seconds)
        accepted, refused = took.pop(202, []), took.pop(503, [])
        probes = self.prober.due_between(began, began + self.seconds)
        return Seen(
            connections=self.connections,
            offered_a_second=sum(each.at >= began for each in self.sent) / self.seconds,
            not_sent=self.not_sent,
            accepted=sum(each.status == 202 for each in self.sent),
            in_doubt=sum(each.is_in_doubt for each in self.sent),
            accepted_a_second=len(accepted) / self.seconds,
            refused_a_second=len(refused) / self.seconds,
            lost=self.lost,
            other=sum(map(len, took.values())),
            accepted_p50_seconds=_share(accepted, 0.5),
            accepted_p99_seconds=_share(accepted, 0.99),
            refused_p50_seconds=_share(refused, 0.5),
            retry_after_seconds=sorted(self.waits),
            probes=sum(each.status == 200 for each in probes),
            probes_wrong=sum(each.is_wrong for each in probes),
            probe_p99_seconds=_share([each.seconds for each in probes], 0.99),
            client_cores=cores,
        )


def _request(body: dict[str, Any]) -> bytes:
    content = json.dumps(body).encode()
    head = f"POST /applications HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {len(content)}"
    return head.encode() + b"\r\n\r\n" + content


def _share(seconds: list[float], share: float) -> float:
    ordered = sorted(seconds)
    return ordered[int(share * (len(ordered) - 1))] if ordered else 0.0


def main() -> None:
    """Run as the command line says."""
    port, connections, seconds, file, *rate = sys.argv[1:]
    crowd = Crowd(int(port), int(connections), float(seconds), float(rate[0]) if rate else None)
    with uncollected():
        seen = uvloop.run(crowd.run())
        with Path(file).open("w", encoding="utf-8") as lines:
            lines.writelines(f"{json.dumps(list(asdict(each).values()))}\n" for each in crowd.sent)
    sys.stdout.write(json.dumps(asdict(seen)))


if __name__ == "__main__":
    main()
