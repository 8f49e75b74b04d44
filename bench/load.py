"""Load a running system, wait until everything is decided, and say what was seen.

    python -m bench.load --burst 20000            as fast as 128 connections go
    python -m bench.load --rate 200 --seconds 20  evenly, measuring 202 → final as a client sees it

Reads `.prequal/run.json` for the addresses (`prequal up` writes it). Every load is bounded in count and time.
"""

import argparse
import asyncio
import contextlib
import itertools
import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any
from uuid import UUID

import asyncpg
import psutil
import uvloop

from harness import oracle
from harness.applications import drawn_applications
from harness.client import Connection
from harness.keys import DRAW_KEYS, key

UNDECIDED = "SELECT id FROM applications WHERE id = ANY ($1::uuid[]) AND status = 'PENDING'"
ASKED_AT_ONCE = 5_000
SETTLE_SECONDS = 120.0
POLL_SECONDS = 0.001


@dataclass
class Seen:
    """What one load saw: seconds, and how the requests ended."""

    posts: list[float] = field(default_factory=list)
    gets: list[float] = field(default_factory=list)
    finals: list[float] = field(default_factory=list)
    accepted: dict[UUID, dict[str, str]] = field(default_factory=dict)
    refused: dict[int, int] = field(default_factory=dict)


async def submit(connection: Connection, application: dict[str, str], seen: Seen) -> str | None:
    """Post one application; its id when it was accepted."""
    answer = await connection.post("/applications", json.dumps(application).encode())
    seen.posts.append(answer.seconds)
    if answer.status != 202:
        seen.refused[answer.status] = seen.refused.get(answer.status, 0) + 1
        return None
    application_id: str = json.loads(answer.body)["application_id"]
    seen.accepted[UUID(application_id)] = application
    return application_id


async def burst(port: int, count: int, connections: int, seed: int | None, seen: Seen, token: str = "") -> None:
    """Post `count` applications as fast as the connections go."""
    source = itertools.islice(drawn_applications(seed), count)

    async def worker() -> None:
        connection = await Connection.open(port, token)
        for application in source:
            await submit(connection, application, seen)
        connection.close()

    await asyncio.gather(*(worker() for _ in range(connections)))


async def steady(
    port: int, rate: float, seconds: float, sample: int, seed: int | None, seen: Seen, token: str = ""
) -> None:
    """Post `rate` a second, evenly; every `sample`-th is watched until it is final."""
    idle: list[Connection] = []
    began = perf_counter()

    async def one(number: int, application: dict[str, str]) -> None:
        while idle and not idle[-1].is_open:  # the API hangs up on who is idle for long
            idle.pop()
        connection = idle.pop() if idle else await Connection.open(port, token)
        application_id = await submit(connection, application, seen)
        if application_id and number % sample == sample - 1:
            await watch(connection, application_id, seen)
        idle.append(connection)

    async with asyncio.TaskGroup() as group:
        for number, application in enumerate(itertools.islice(drawn_applications(seed), int(rate * seconds))):
            await asyncio.sleep(max(0.0, began + number / rate - perf_counter()))
            group.create_task(one(number, application))
    for connection in idle:
        connection.close()


async def watch(connection: Connection, application_id: str, seen: Seen) -> None:
    """Read the status until it is final."""
    began = perf_counter()
    while perf_counter() - began < SETTLE_SECONDS:
        answer = await connection.get(f"/applications/{application_id}/status")
        seen.gets.append(answer.seconds)
        if b'"PENDING"' not in answer.body:
            seen.finals.append(perf_counter() - began)
            return
        await asyncio.sleep(POLL_SECONDS)


async def settled(database_url: str, began: float, seen: Seen) -> float:
    """Seconds from the load's start until all that it had accepted is decided, of which little is asked at a time."""
    ids = list(seen.accepted)
    connection = await asyncpg.connect(database_url)
    try:
        async with asyncio.timeout(SETTLE_SECONDS):
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


def percentiles(seconds: list[float]) -> str:
    """Median, 99th percentile and maximum in milliseconds."""
    if not seconds:
        return "-"
    ordered = sorted(seconds)
    at = [ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000 for share in (0.5, 0.99, 1.0)]
    return "p50 {:.1f} ms, p99 {:.1f} ms, max {:.1f} ms".format(*at)


def cpu_seconds(processes: dict[str, Any]) -> dict[str, float]:
    """CPU seconds used so far by each process, its children and those of them that have ended."""
    used = {}
    for name, about in processes.items():
        process = psutil.Process(about["pid"])
        used[name] = 0.0
        for member in (process, *process.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):  # it has ended since: its parent has its seconds
                used[name] += sum(member.cpu_times()[:4])
    return used


def report(seen: Seen, seconds: float, processes: dict[str, Any], before: dict[str, float]) -> None:
    """Print what was seen."""
    count = len(seen.accepted)
    after = cpu_seconds(processes)
    print(f"accepted {count}, refused {seen.refused or 0}, all decided after {seconds:.2f} s: {count / seconds:.0f}/s")
    print(f"  POST          {percentiles(seen.posts)}")
    print(f"  GET           {percentiles(seen.gets)}")
    print(f"  202 → final   {percentiles(seen.finals)}")
    for name, about in processes.items():
        resident = psutil.Process(about["pid"]).memory_info().rss / 2**20
        micros = (after[name] - before[name]) / max(count, 1) * 1e6
        print(f"  {name:10} {resident:6.0f} MiB   {micros:6.0f} CPU µs a decision")


async def main() -> None:
    """Run the load that the arguments describe."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--burst", type=int, default=0, help="applications, at most 1,000,000")
    parser.add_argument("--connections", type=int, default=128)
    parser.add_argument("--rate", type=float, default=0, help="applications a second")
    parser.add_argument("--seconds", type=float, default=20, help="at most 900")
    parser.add_argument("--sample", type=int, default=1, help="watch every n-th application until it is final")
    parser.add_argument("--seed", type=int)
    parser.add_argument(
        "--pans", type=Path, help="write the PANs that were sent to this file, for faults.checker.leaks"
    )
    parser.add_argument("--data", type=Path, default=Path(".prequal"))
    arguments = parser.parse_args()
    running = json.loads((arguments.data / "run.json").read_text())
    processes = running["processes"]
    port, seen = processes["api"]["port"], Seen()
    before, began = cpu_seconds(processes), perf_counter()
    if arguments.burst:
        await burst(port, min(arguments.burst, 1_000_000), arguments.connections, arguments.seed, seen)
    else:
        await steady(port, arguments.rate, min(arguments.seconds, 900), arguments.sample, arguments.seed, seen)
    seconds = await settled(running["database_url"], began, seen)
    report(seen, seconds, processes, before)
    await asyncio.sleep(0.5)
    wrong = await disagreements(running["database_url"], seen, key(arguments.data / "keys.env", DRAW_KEYS))
    print("  " + ", ".join(f"{name}: {count}" for name, count in wrong.items()))
    if arguments.pans:
        arguments.pans.write_text("".join(f"{application['pan_number']}\n" for application in seen.accepted.values()))
    sys.exit(any(wrong.values()))


if __name__ == "__main__":
    uvloop.run(main())
