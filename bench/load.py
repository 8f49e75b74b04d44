"""Load a running system, wait until everything is decided, and say what was seen.

    python -m bench.load --burst 20000            as fast as 128 connections go
    python -m bench.load --rate 200 --seconds 20  evenly, measuring 202 → final as a client sees it

Reads `.prequal/run.json` for the addresses (`prequal up` writes it). Every load is bounded in count and time.

Invariant: an even load is open: each request has a time at which it is due, whatever became of those before, and its
latencies count from then, so that a client that falls behind shows it.
"""

import argparse
import asyncio
import itertools
import json
import math
import sys
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any, Final
from uuid import UUID

import asyncpg
import uvloop

from bench.measures import cpu_seconds_of_all, mebibytes, percentiles
from harness import oracle
from harness.applications import drawn_applications
from harness.client import Connection
from harness.collector import uncollected
from harness.keys import DRAW_KEYS, key

UNDECIDED = "SELECT id FROM applications WHERE id = ANY ($1::uuid[]) AND status = 'PENDING'"
ASKED_AT_ONCE = 5_000
DECIDED_SECONDS = 120.0
POLL_SECONDS: Final = 0.001
POLL_SHARE: Final = 0.05
"""Who waits for long is asked for less often: after so much of the time that has passed."""
FIRST_POLL_SHARE: Final = 0.6
"""Of the shortest of the last finals: before then nothing is expected."""
LAST_FINALS: Final = 20


@dataclass(frozen=True, slots=True)
class Accepted:
    """An application that was accepted: when its post was due, and when the 202 came."""

    application_id: str
    due: float
    at: float


@dataclass
class Seen:
    """What one load saw: seconds, and how the requests ended.

    Attributes:
        posts: from when each post was due, or was sent where nothing is due, to its answer.
        late: from when each post was due to when it was sent.
        gets: of each look at a status, from its sending to the answer.
        finals: from the 202 to the final status.
        wholes: from when the post was due to the final status.
        errors: how far each of `finals` and `wholes` may be off to either side.
    """

    posts: list[float] = field(default_factory=list)
    late: list[float] = field(default_factory=list)
    gets: list[float] = field(default_factory=list)
    finals: list[float] = field(default_factory=list)
    wholes: list[float] = field(default_factory=list)
    errors: list[float] = field(default_factory=list)
    accepted: dict[UUID, dict[str, str]] = field(default_factory=dict)
    refused: dict[int, int] = field(default_factory=dict)

    def add_post(self, due: float | None, sent: float, answered: float) -> float:
        """A post and when it counts from: when it was due, or when it was sent where that was a moment earlier."""
        counts_from = sent if due is None else min(due, sent)
        self.posts.append(answered - counts_from)
        self.late.append(sent - counts_from)
        return counts_from

    def add_final(self, accepted: Accepted, pending: float, final: float) -> None:
        """What the last look at which it was undecided and the first at which it was final say: the middle of both."""
        middle = (pending + final) / 2
        self.finals.append(middle - accepted.at)
        self.wholes.append(middle - accepted.due)
        self.errors.append((final - pending) / 2)


class Connections:
    """Kept-alive connections to the API, each for one task at a time."""

    def __init__(self, port: int, token: str) -> None:
        self._port = port
        self._token = token
        self._idle: list[Connection] = []

    async def take(self) -> Connection:
        """One that is idle, or a new one."""
        while self._idle and not self._idle[-1].is_open:  # the API hangs up on who is idle for long
            self._idle.pop()
        return self._idle.pop() if self._idle else await Connection.open(self._port, self._token)

    def give_back(self, connection: Connection) -> None:
        """Its task is done."""
        self._idle.append(connection)

    def close(self) -> None:
        """Hang up on all that are idle."""
        for connection in self._idle:
            connection.close()


async def submit(
    connection: Connection, application: dict[str, str], seen: Seen, due: float | None = None
) -> Accepted | None:
    """Post one application, which was due then, or now; what was accepted."""
    body, sent = json.dumps(application).encode(), perf_counter()
    answer = await connection.post("/applications", body)
    answered = perf_counter()
    counts_from = seen.add_post(due, sent, answered)
    if answer.status != 202:
        seen.refused[answer.status] = seen.refused.get(answer.status, 0) + 1
        return None
    application_id: str = json.loads(answer.body)["application_id"]
    seen.accepted[UUID(application_id)] = application
    return Accepted(application_id, counts_from, answered)


async def burst(
    port: int,
    count: int,
    connections: int,
    seed: int | None,
    seen: Seen,
    token: str = "",
    *,
    seconds: float = math.inf,
    sample: int = 0,
) -> None:
    """Post `count` applications, as many as `seconds` have room for, as fast as the connections go.

    With `sample` every so many-th is watched until it is final, over connections of their own.
    """
    source, ends = enumerate(itertools.islice(drawn_applications(seed), count), 1), perf_counter() + seconds
    watching = Connections(port, token)

    async def observe(accepted: Accepted) -> None:
        connection = await watching.take()
        await watch(connection, accepted, seen)
        watching.give_back(connection)

    async def worker() -> None:
        connection = await Connection.open(port, token)
        for number, application in source:
            accepted = await submit(connection, application, seen)
            if accepted and sample and number % sample == 0:
                group.create_task(observe(accepted))
            if perf_counter() > ends:
                break
        connection.close()

    with uncollected():
        async with asyncio.TaskGroup() as group:
            await asyncio.gather(*(worker() for _ in range(connections)))
    watching.close()


async def steady(
    port: int, rate: float, seconds: float, sample: int, seed: int | None, seen: Seen, token: str = ""
) -> None:
    """Post `rate` a second, evenly; every `sample`-th is watched until it is final."""
    connections = Connections(port, token)

    async def one(number: int, application: dict[str, str], due: float) -> None:
        connection = await connections.take()
        accepted = await submit(connection, application, seen, due)
        if accepted and number % sample == sample - 1:
            await watch(connection, accepted, seen)
        connections.give_back(connection)

    began = perf_counter()
    with uncollected():
        async with asyncio.TaskGroup() as group:
            for number, application in enumerate(itertools.islice(drawn_applications(seed), int(rate * seconds))):
                due = began + number / rate
                await asyncio.sleep(max(0.0, due - perf_counter()))
                group.create_task(one(number, application, due))
    connections.close()


async def watch(connection: Connection, accepted: Accepted, seen: Seen) -> None:
    """Look at the status until it is final.

    The final status counts from the middle between the answer that last said PENDING and the first that did not: a
    client that asked without a pause would know it then, on average, and the time between two looks, about a
    millisecond and a half, is no part of the figure. What is: one answer's way back. A single figure may be off by half
    the time between two looks (`Seen.errors`), a median of many by far less. The first look comes late, so
    that there are few, and what waits for long is looked at every twentieth of its time.
    """
    await asyncio.sleep(first_look(seen.finals))
    pending = accepted.at
    while (waited := perf_counter() - accepted.at) < DECIDED_SECONDS:
        answer = await connection.get(f"/applications/{accepted.application_id}/status")
        now = perf_counter()
        seen.gets.append(answer.seconds)
        if b'"PENDING"' not in answer.body:
            seen.add_final(accepted, pending, now)
            return
        pending = now
        await asyncio.sleep(max(POLL_SECONDS, POLL_SHARE * waited))


def first_look(finals: list[float]) -> float:
    """Seconds from a 202 to the first look, by the last ones."""
    return FIRST_POLL_SHARE * min(finals[-LAST_FINALS:], default=0.0)


async def seconds_until_decided(database_url: str, began: float, seen: Seen) -> float:
    """Seconds from the load's start until all that it had accepted is decided, of which little is asked at a time."""
    ids = list(seen.accepted)
    connection = await asyncpg.connect(database_url)
    try:
        async with asyncio.timeout(DECIDED_SECONDS):
            while ids:
                undecided = [row[0] for row in await connection.fetch(UNDECIDED, ids[-ASKED_AT_ONCE:])]
                ids[-ASKED_AT_ONCE:] = undecided
                if undecided:
                    await asyncio.sleep(0.02)
        return perf_counter() - began
    finally:
        await connection.close()


async def disagreements(database_url: str, seen: Seen, draw_key: bytes) -> dict[str, int]:
    """What a load left that it should not have: all zero when every 202 ended once, as the oracle says."""
    connection = await asyncpg.connect(database_url)
    try:
        rows = await connection.fetch(
            "SELECT id, status, cibil_score, version FROM applications WHERE id = ANY ($1::uuid[])", list(seen.accepted)
        )
        waiting = await connection.fetchval(
            "SELECT (SELECT count(*) FROM outbox_events) + (SELECT count(*) FROM outbox_parked)"
        )
        published = await connection.fetchval(
            "SELECT count(*) FROM outbox_archive WHERE application_id = ANY ($1::uuid[])", list(seen.accepted)
        )
    finally:
        await connection.close()
    wrong = sum((row["cibil_score"], row["status"]) != _expected(row["id"], seen, draw_key) for row in rows)
    return {
        "missing": len(seen.accepted) - len(rows),
        "not as the oracle says": wrong,
        "moved other than once": sum(row["version"] != 2 for row in rows),
        "still in the outbox": waiting,
        "events published other than once": abs(published - 2 * len(seen.accepted)),
    }


def _expected(application_id: UUID, seen: Seen, draw_key: bytes) -> tuple[int | None, str]:
    application = seen.accepted[application_id]
    money = application["monthly_income_inr"], application["loan_amount_inr"]
    return oracle.outcome(draw_key, application["pan_number"], *money, application["loan_type"])


def report(seen: Seen, seconds: float, processes: dict[str, Any], before: dict[str, float]) -> None:
    """Print what was seen."""
    count = len(seen.accepted)
    after = cpu_seconds_of_all(processes)
    print(f"accepted {count}, refused {seen.refused or 0}, all decided after {seconds:.2f} s: {count / seconds:.0f}/s")
    print(f"  POST          {percentiles(seen.posts)}")
    print(f"  sent late by  {percentiles(seen.late)}")
    print(f"  GET           {percentiles(seen.gets)}")
    print(f"  due → final   {percentiles(seen.wholes)}")
    print(f"  202 → final   {percentiles(seen.finals)}, each to within {percentiles(seen.errors)}")
    for name, resident in mebibytes(processes).items():
        micros = (after[name] - before[name]) / max(count, 1) * 1e6
        print(f"  {name:10} {resident:6.0f} MiB   {micros:6.0f} CPU µs a decision")


async def main() -> None:
    """Run the load that the arguments describe."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--burst", type=int, default=0, help="applications, at most 1,000,000")
    parser.add_argument("--connections", type=int, default=128)
    parser.add_argument("--rate", type=float, default=0, help="applications a second")
    parser.add_argument("--seconds", type=float, default=20, help="at most 900")
    parser.add_argument(
        "--sample",
        type=int,
        default=1,
        help="watch every n-th application until it is final; of a burst none by default",
    )
    parser.add_argument("--seed", type=int)
    parser.add_argument(
        "--pans", type=Path, help="write the PANs that were sent to this file, for faults.checker.leaks"
    )
    parser.add_argument("--data", type=Path, default=Path(".prequal"))
    arguments = parser.parse_args()
    running = json.loads((arguments.data / "run.json").read_text())
    processes = running["processes"]
    port, seen = processes["api"]["port"], Seen()
    before, began = cpu_seconds_of_all(processes), perf_counter()
    if arguments.burst:
        count, sample = min(arguments.burst, 1_000_000), arguments.sample if arguments.sample > 1 else 0
        await burst(port, count, arguments.connections, arguments.seed, seen, sample=sample)
    else:
        await steady(port, arguments.rate, min(arguments.seconds, 900), arguments.sample, arguments.seed, seen)
    seconds = await seconds_until_decided(running["database_url"], began, seen)
    report(seen, seconds, processes, before)
    await asyncio.sleep(0.5)
    wrong = await disagreements(running["database_url"], seen, key(arguments.data / "keys.env", DRAW_KEYS))
    print("  " + ", ".join(f"{name}: {count}" for name, count in wrong.items()))
    if arguments.pans:
        arguments.pans.write_text("".join(f"{application['pan_number']}\n" for application in seen.accepted.values()))
    sys.exit(any(wrong.values()))


if __name__ == "__main__":
    uvloop.run(main())
