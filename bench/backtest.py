"""Time `prequal policy backtest`, alone and beside a live load, on a system of its own with a past of its own.

    python -m bench.backtest --rows 200000
    python -m bench.backtest --rows 1000000 --rate 50 --seconds 40

With `--rate` the same load goes on without the backtest, beside it, and without it again.

Invariant: the past is decided by the version that the backtest replays, so that none is found stored otherwise, and
ends before the load: every backtest is of the same applications.
"""

import argparse
import asyncio
import hashlib
import json
import os
import resource
import sys
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Final

import uvloop

from bench.load import Seen, steady
from bench.measures import cpu_seconds, percentiles
from bench.past import fill_applications
from harness.own_system import OwnSystem
from prequal.domain.policy import packaged

WATCHED_A_SECOND: Final = 20
"""So many applications are watched until they are final: each takes some reads, which are no part of the load."""


@dataclass(frozen=True)
class Run:
    """A backtest: how long it took, and the SHA-256 of what it printed."""

    seconds: float
    command_seconds: float
    """Of CPU."""
    server_seconds: float
    """Of CPU that PostgreSQL used meanwhile, for a load too."""
    sha256: str


def stricter() -> str:
    """Policy v1 with a minimum of 700, as a document."""
    text = (packaged.text_of("v1") or "").replace('"v1"', '"v2"').replace("{ score = 650 }", "{ score = 700 }")
    return text.replace("cibil_score = 650\n", "cibil_score = 700\n")


async def backtest(system: OwnSystem, until: str) -> Run:
    """Run the command on all applications before a time, and see that it found none stored otherwise."""
    draft, printed = system.folder / "v2.toml", system.folder / "report.json"
    draft.write_text(stricter(), "utf-8")
    words = ("-P", "-m", "prequal", "policy", "backtest", str(draft), "--to", until, "--json")
    environment = {**os.environ, **system.settings, "XDG_CONFIG_HOME": str(system.folder)}
    began, used, served = perf_counter(), _cpu_of_children(), _cpu_of_server(system)
    with printed.open("wb") as file:
        process = await asyncio.create_subprocess_exec(
            sys.executable, *words, env=environment, stdout=file, stderr=asyncio.subprocess.DEVNULL
        )
        if await process.wait():
            raise SystemExit(f"the backtest ended with {process.returncode}")
    seconds = perf_counter() - began
    used, served = _cpu_of_children() - used, _cpu_of_server(system) - served
    text = printed.read_bytes()
    assert json.loads(text)["replayed"] == {"of_unknown_versions": 0, "otherwise_than_stored": []}
    return Run(seconds, used, served, hashlib.sha256(text).hexdigest())


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _cpu_of_server(system: OwnSystem) -> float:
    return cpu_seconds({"postgres": {"pid": system.postgres.pid}})["postgres"]


async def load(port: int, rate: float, seconds: float, name: str) -> float:
    """Post evenly and watch; prints the latencies, and gives the 99th percentile from 202 to the final status in s."""
    seen = Seen()
    await steady(port, rate, seconds, max(1, round(rate / WATCHED_A_SECOND)), None, seen)
    print(
        f"{name}: POST {percentiles(seen.posts)}; 202 → final {percentiles(seen.finals)}; {_load_average()}", flush=True
    )
    return sorted(seen.finals)[int(len(seen.finals) * 0.99)]


def _load_average() -> str:
    return f"load average of the machine {os.getloadavg()[0]:.1f}"


def say(run: Run, rows: int, name: str) -> None:
    """Print how long a backtest took."""
    print(
        f"{name}: {rows:,} applications in {run.seconds:.1f} s, {rows / run.seconds:,.0f} a second; "
        f"CPU: {run.command_seconds:.1f} s of the command, {run.server_seconds:.1f} s of PostgreSQL; {_load_average()}",
        flush=True,
    )


async def measure(system: OwnSystem, rows: int, rate: float, seconds: float) -> None:
    """The backtest alone and, with a rate, beside a load that is as long as the backtest."""
    until = datetime.now(UTC).isoformat()
    alone = await backtest(system, until)
    say(alone, rows, "alone")
    if not rate:
        return
    port = system.ports["api"]
    await load(port, rate, seconds / 2, "to warm up")
    before = await load(port, rate, seconds, "without it")
    busy = asyncio.create_task(load(port, rate, max(seconds, alone.seconds), "beside it"))
    beside = await backtest(system, until)
    say(beside, rows, "beside the load")
    slowed = await busy
    after = await load(port, rate, seconds, "without it")
    print(f"p99 beside it over the mean without it: {slowed / ((before + after) / 2):.2f}")
    print("the same bytes" if alone.sha256 == beside.sha256 else "other bytes")


def main() -> None:
    """Fill, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--rate", type=float, default=0, help="applications a second that are posted meanwhile")
    parser.add_argument("--seconds", type=float, default=30, help="of each load")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, OwnSystem(Path(folder)) as system:
        fill_applications(system.database_url, given.rows)
        uvloop.run(measure(system, given.rows, given.rate, given.seconds))


if __name__ == "__main__":
    main()
