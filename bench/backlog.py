"""Freeze the broker, post a backlog, thaw it, and say how fast the backlog drains and how much memory that takes.

    python -m bench.backlog --count 100000

A burst on the healthy system comes first, so that the drain is shown as a ratio of one run. Reads `run.json` of a
`prequal up` on this machine, whose broker it freezes (SIGSTOP) and always thaws.
"""

import argparse
import asyncio
import contextlib
import json
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from time import perf_counter
from typing import Any

import psutil
import uvloop

from bench.load import Seen, burst, disagreements, seconds_until_decided
from harness.keys import DRAW_KEYS, key

CONNECTIONS = 128
LOOK_SECONDS = 0.5
STORES = {"postgres", "kafka"}


@contextlib.asynccontextmanager
async def watching_memory(processes: dict[str, Any]) -> AsyncIterator[dict[str, float]]:
    """The most memory that each process of ours has had meanwhile, in MiB."""
    most: dict[str, float] = {}

    async def watch() -> None:
        while True:
            for name, about in processes.items():
                if name not in STORES:
                    resident = psutil.Process(about["pid"]).memory_info().rss / 2**20
                    most[name] = max(most.get(name, 0.0), resident)
            await asyncio.sleep(LOOK_SECONDS)

    watcher = asyncio.create_task(watch())
    try:
        yield most
    finally:
        watcher.cancel()


async def rate_of(count: int, running: dict[str, Any], seen: Seen) -> float:
    """Decisions a second of a burst on the healthy system."""
    began = perf_counter()
    await burst(running["processes"]["api"]["port"], count, CONNECTIONS, None, seen)
    return count / await seconds_until_decided(running["database_url"], began, seen)


async def drained(count: int, running: dict[str, Any], seen: Seen) -> float:
    """Decisions a second of a backlog, from the broker's thaw on."""
    broker = psutil.Process(running["processes"]["kafka"]["pid"])
    broker.send_signal(signal.SIGSTOP)
    try:
        await burst(running["processes"]["api"]["port"], count, CONNECTIONS, None, seen)
    finally:
        broker.send_signal(signal.SIGCONT)
    return count / await seconds_until_decided(running["database_url"], perf_counter(), seen)


async def main() -> None:
    """Run the two bursts and compare them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100_000, help="the backlog, at most 200,000")
    parser.add_argument("--data", type=Path, default=Path(".prequal"))
    arguments = parser.parse_args()
    running, count = json.loads((arguments.data / "run.json").read_text()), min(arguments.count, 200_000)
    seen = Seen()
    async with watching_memory(running["processes"]) as most:
        healthy = await rate_of(count // 5, running, seen)
        backlog = await drained(count, running, seen)
    wrong = await disagreements(running["database_url"], seen, key(arguments.data / "keys.env", DRAW_KEYS))
    print(f"healthy {healthy:.0f}/s; a backlog of {count} drained at {backlog:.0f}/s: {backlog / healthy:.2f} of it")
    print("  most memory: " + ", ".join(f"{name} {mebibytes:.0f} MiB" for name, mebibytes in most.items()))
    print("  " + ", ".join(f"{name}: {number}" for name, number in wrong.items()))
    sys.exit(any(wrong.values()))


if __name__ == "__main__":
    uvloop.run(main())
