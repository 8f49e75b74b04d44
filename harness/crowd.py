"""A crowd of lenders' apps in a process of its own: in a closed loop each waits for its answer, in an open one none.

    python -m harness.crowd PORT CONNECTIONS SECONDS FILE          closed: so many connections, each posts, waits, posts
    python -m harness.crowd PORT CONNECTIONS SECONDS FILE RATE     open: so many posts a second over at most so many

Prints one JSON object, `Seen`, and writes each post to FILE, a line of JSON each, with what became of it (`Sent`).

Invariant: bounded in connections and time; what was sent and not answered is in the file too.
"""

import asyncio
import json
import random
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import httptools
import uvloop

from harness.applications import drawn_applications
from harness.client import Connection

UNANSWERED: Final = (OSError, EOFError, httptools.HttpParserError)
AGAIN_SECONDS: Final = 0.5
"""After which an app that was hung up on connects again."""
WARM_SECONDS: Final = 4.0
"""Before what is counted begins; all have connected by the half of it."""
TICK_SECONDS: Final = 0.01


@dataclass
class Seen:
    """What the crowd saw, and how many cores it took itself."""

    connections: int
    accepted_a_second: float
    refused_a_second: float
    lost: int
    """Connections that were refused, or cut with a post on its way."""
    other: int
    accepted_p50_seconds: float
    accepted_p99_seconds: float
    refused_p50_seconds: float
    health_p99_seconds: float
    client_cores: float


@dataclass
class Sent:
    """One post."""

    at: float
    body: dict[str, Any]
    answered_at: float | None = None
    status: int | None = None
    answer: str = ""


class App(Connection):
    """A connection that knows for how long it was asked to wait."""

    retry_after = 1.0

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep the wait."""
        if name.lower() == b"retry-after":
            self.retry_after = float(value)


@dataclass
class Crowd:
    """All of it."""

    port: int
    connections: int
    seconds: float
    rate: float | None = None
    sent: list[Sent] = field(default_factory=list)
    health: list[float] = field(default_factory=list)
    lost: int = 0

    async def run(self) -> Seen:
        """Post for as long as it is to, after a while in which it gets going."""
        self._source = drawn_applications(random.randrange(1 << 30))
        work = [self._app() for _ in range(self.connections)] if self.rate is None else [self._open_loop(self.rate)]
        tasks = [asyncio.create_task(each) for each in (*work, self._probe())]
        await asyncio.sleep(WARM_SECONDS)
        began, cpu = time.time(), time.process_time()
        self.health, self.lost = [], 0
        await asyncio.sleep(self.seconds)
        cores = (time.process_time() - cpu) / self.seconds
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return self._summed(began, cores)

    async def _app(self) -> None:
        await asyncio.sleep(random.random() * WARM_SECONDS / 2)
        while True:
            try:
                app = await App.open(self.port)
                while True:
                    if await self._post(app) == 503:
                        await asyncio.sleep(app.retry_after * random.uniform(0.9, 1.1))
            except UNANSWERED:
                self.lost += 1
                await asyncio.sleep(AGAIN_SECONDS)

    async def _open_loop(self, rate: float) -> None:
        idle: list[App] = []
        began, posts, running = time.monotonic(), 0, set[asyncio.Task[None]]()
        async with asyncio.TaskGroup() as group:
            while True:
                while posts < (time.monotonic() - began) * rate:
                    posts += 1
                    if idle or len(running) < self.connections:
                        running.add(task := group.create_task(self._once(idle)))
                        task.add_done_callback(running.discard)
                await asyncio.sleep(TICK_SECONDS)

    async def _once(self, idle: list[App]) -> None:
        try:
            app = idle.pop() if idle else await App.open(self.port)
            await self._post(app)
            idle.append(app)
        except UNANSWERED:
            self.lost += 1

    async def _post(self, app: App) -> int:
        sent = Sent(time.time(), next(self._source))
        self.sent.append(sent)
        answer = await app.post("/applications", json.dumps(sent.body).encode())
        sent.answered_at, sent.status = time.time(), answer.status
        sent.answer = answer.body.decode(errors="replace")
        return answer.status

    async def _probe(self) -> None:
        probe = await App.open(self.port)
        while True:
            self.health.append((await probe.get("/health")).seconds)
            await asyncio.sleep(0.05)

    def _summed(self, began: float, cores: float) -> Seen:
        counted = [each for each in self.sent if each.at >= began]
        seconds = {
            status: [each.answered_at - each.at for each in counted if each.answered_at and each.status == status]
            for status in (202, 503)
        }
        known = len(seconds[202]) + len(seconds[503])
        on_their_way = sum(each.status is None for each in counted)
        return Seen(
            connections=self.connections,
            accepted_a_second=len(seconds[202]) / self.seconds,
            refused_a_second=len(seconds[503]) / self.seconds,
            lost=self.lost,
            other=len(counted) - known - on_their_way,
            accepted_p50_seconds=_share(seconds[202], 0.5),
            accepted_p99_seconds=_share(seconds[202], 0.99),
            refused_p50_seconds=_share(seconds[503], 0.5),
            health_p99_seconds=_share(self.health, 0.99),
            client_cores=cores,
        )


def _share(seconds: list[float], share: float) -> float:
    ordered = sorted(seconds)
    return ordered[int(share * (len(ordered) - 1))] if ordered else 0.0


def main() -> None:
    """Run as the command line says."""
    port, connections, seconds, file, *rate = sys.argv[1:]
    crowd = Crowd(int(port), int(connections), float(seconds), float(rate[0]) if rate else None)
    seen = uvloop.run(crowd.run())
    with Path(file).open("w", encoding="utf-8") as lines:
        lines.writelines(f"{json.dumps(list(asdict(each).values()))}\n" for each in crowd.sent)
    sys.stdout.write(json.dumps(asdict(seen)))


if __name__ == "__main__":
    main()
