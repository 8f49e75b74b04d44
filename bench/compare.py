"""Compare two variants by CPU µs a decision: two checkouts, or two environments of one.

    python -m bench.compare --base /tmp/before --other .
    python -m bench.compare --base /tmp/before --other . --rate 200 --seconds 30
    python -m bench.compare --base /tmp/before --other . --idle
    python -m bench.compare --base . --other . OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318
    python -m bench.compare --base . --other . API_AUTHENTICATION=keys --most 1.03
    python -m bench.compare --base /tmp/before --other . --record pairs.jsonl --pairs 7

With `--record` each pair is a line of the file: a run that was ended goes on from the pairs of the same sides and load
that are there, and says what all of them say.

A variant is the folder of a checkout that has its `.venv/`, and settings of its own. Each runs as its own `prequal up`,
on a folder and ports of its own, both for the whole time; loads go to one and the other in turn, and the order changes
with each pair. A load is a burst, or evenly spread (`--rate`): that is sent a second time for its latencies.

Invariant: a variant is asked by HTTP and measured by /proc, so that two checkouts need agree on nothing but the API.
The client is the same for both, and its own CPU and what the cores were idle for stand beside theirs.
"""

import argparse
import asyncio
import hashlib
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, Final, Self

import psutil
import uvloop

from bench.load import Seen, burst, steady
from bench.measures import CLIENT, at, cpu_seconds_of_all
from bench.noise import verdict
from bench.pairs import Measured, Pair, Record
from harness.client import Connection
from harness.ports import reserve
from prequal.core.errors import Transient
from prequal.local.child_process import Child
from prequal.local.services import is_ready

HERE: Final = Path(__file__).parent.parent
CONNECTIONS: Final = 64
WARM_UP: Final = 5_000
MOST: Final = 200_000
START_SECONDS: Final = 180.0
STOP_SECONDS: Final = 20.0
REST_SECONDS: Final = 1.0
"""After each burst: what was published is archived, and what is written late is written."""

PORTS: Final = ("POSTGRES", "KAFKA", "KAFKA_CONTROLLER", "API", "CREDIT", "DECISION", "PUBLISHER", "CONSOLE", "ADMIN")
PARTS: Final = {"python": ("api", "credit", "decision", "publisher"), "postgres": ("postgres",), "kafka": ("kafka",)}
TOKEN: Final = re.compile(r"pq_[a-z0-9]+_[\w-]+")
"""Of the client that `prequal up` makes where callers need a token."""
OF_THE_MACHINE: Final = ("PATH", "HOME", "LANG", "TZ", "TMPDIR")
"""What is passed on: other settings are not meant for what is compared."""
WHAT_RUNS: Final = ("src", "pyproject.toml", "requirements")
"""Of a checkout: what is changed elsewhere, such as a record, makes it no other side."""
DECIDED_SECONDS: Final = 180.0
LOOK_AGAIN_SECONDS: Final = 0.02

LATENCIES: Final = ("post p50", "post p99", "final p50", "final p99", "whole p50", "whole p99")
"""Of an even load, in ms: from when a post was due to its answer, from there to the final status, and both."""
OF_THE_LOAD: Final = (CLIENT, "idle")
"""What stands beside the CPU of a side, and is no part of it."""
WATCHED_A_SECOND: Final = 10
"""So many applications are watched until they are final, in a load of their own: their reads are no part of the CPU."""


@dataclass(frozen=True)
class Load:
    """What is sent to a variant: `count` applications at once, or evenly, at `rate` a second, or nothing for a time."""

    count: int
    rate: float | None = None
    idle_seconds: float = 0.0

    @property
    def words(self) -> str:
        """Its name in a record."""
        if self.idle_seconds:
            return f"idle for {self.idle_seconds:g} s"
        even = f"{self.rate:g}/s for {self.count / self.rate:g} s" if self.rate else ""
        return even or f"bursts of {self.count:,}"

    async def send(self, port: int, seen: Seen, token: str, watched: bool = False) -> None:
        """Send it; returns when all is answered and those that are `watched`, of an even load, are final."""
        if self.rate is None:
            await burst(port, self.count, CONNECTIONS, None, seen, token)
        else:
            sample = max(1, round(self.rate / WATCHED_A_SECOND)) if watched else self.count + 1
            await steady(port, self.rate, self.count / self.rate, sample, None, seen, token)


@dataclass(frozen=True)
class Variant:
    """What is compared: a checkout's folder, and what its processes are given besides."""

    checkout: Path
    settings: dict[str, str]

    @classmethod
    def parse(cls, words: list[str]) -> Self:
        """`[folder] [NAME=value …]`; the folder is this checkout's by default."""
        folder = Path(words.pop(0)).absolute() if words and "=" not in words[0] else HERE
        pairs = [word.partition("=") for word in words]
        if wrong := [name for name, sign, _ in pairs if not sign]:
            raise SystemExit(f"{wrong[0]} is no NAME=value")
        if not (folder / ".venv/bin/prequal").exists():
            raise SystemExit(f"There is no .venv/bin/prequal in {folder}: run `make install` there.")
        return cls(folder, {name: value for name, _, value in pairs})

    @property
    def name(self) -> str:
        """The last commit of what runs, with a mark of what is changed since, its Python and its settings."""
        settings = [f"{name}={value}" for name, value in sorted(self.settings.items())]
        return " ".join([self._revision, str((self.checkout / ".venv/bin/python").resolve()), *settings])

    @property
    def _revision(self) -> str:
        commit, changes = self._git("log", "-1", "--abbrev=8", "--format=%h"), self._git("diff", "HEAD")
        mark = f"+{hashlib.sha256(changes.encode()).hexdigest()[:8]}" if changes else ""
        return f"{commit.strip()}{mark}" or str(self.checkout)

    def _git(self, *words: str) -> str:
        command = ["git", "-C", str(self.checkout), *words, "--", *WHAT_RUNS]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.stdout


class Running(Child):
    """A variant's `prequal up`; `with` starts it, waits until it serves, and stops it."""

    def __init__(self, variant: Variant, folder: Path) -> None:
        self._ports = dict(zip(PORTS, reserve(len(PORTS)), strict=True))
        super().__init__("prequal up", self._ports["API"], folder / "up.log")
        self._variant = variant
        self._folder = folder
        self._token = ""

    def launch(self) -> None:
        """Start it, in its own folder, where no `.env` lies."""
        system = {name: os.environ[name] for name in OF_THE_MACHINE if name in os.environ}
        ports = {f"{name}_PORT": str(port) for name, port in self._ports.items()}
        environment = {**system, **ports, "PREQUAL_DATA_DIR": str(self._folder / "data"), **self._variant.settings}
        self.death_signal = signal.SIGTERM  # it has children to stop
        self.spawn([self._variant.checkout / ".venv/bin/prequal", "up"], environment=environment, folder=self._folder)

    def wait_until_ready(self) -> None:
        """Block until all four processes are ready."""
        deadline = time.monotonic() + START_SECONDS
        while not all(is_ready(self._ports[name.upper()]) for name in PARTS["python"]):
            if not self.running or time.monotonic() > deadline:
                raise Transient(f"{self._variant.checkout} did not become ready: {self.last_sentence()}")
            time.sleep(0.1)
        if self._variant.settings.get("API_AUTHENTICATION") == "keys":
            shown = TOKEN.search(self.log.read_text())
            if shown is None:
                raise Transient(f"{self._variant.checkout} shows no client's token in {self.log}")
            self._token = shown[0]

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop_for_good(STOP_SECONDS)

    async def measure(self, load: Load) -> Measured:
        """Send a load, an even one twice: CPU µs a decision by part, decisions a second of a burst, latencies.

        Of a time without a load CPU µs a second. Raises RuntimeError when not all of a load was accepted.
        """
        running: dict[str, Any] = json.loads((self._folder / "data" / "run.json").read_text())
        if load.idle_seconds:
            before = _used(running)
            await asyncio.sleep(load.idle_seconds)
            return _by_part(before, _used(running), load.idle_seconds)
        seen, before, began = Seen(), _used(running), perf_counter()
        await load.send(self.port, seen, self._token)
        ids = [str(application_id) for application_id in seen.accepted]
        await self._wait_until_decided(ids[-CONNECTIONS:])
        seconds = perf_counter() - began
        await asyncio.sleep(REST_SECONDS)
        after = _used(running)
        await self._wait_until_decided(ids)
        watched = Seen()
        if load.rate is not None:
            await load.send(self.port, watched, self._token, watched=True)
        if refused := seen.refused | watched.refused:
            raise RuntimeError(f"accepted were {len(seen.accepted)}, refused {refused}")
        rate = {"a second": len(ids) / seconds} if load.rate is None else {}
        return {**_by_part(before, after, len(ids)), **rate, **_latencies(watched)}

    async def _wait_until_decided(self, ids: list[str]) -> None:
        """Ask for each of these until it is decided. Raises TimeoutError when they are not in time."""
        connection = await Connection.open(self.port, self._token)
        async with asyncio.timeout(DECIDED_SECONDS):
            for application_id in ids:
                while b'"PENDING"' in (await connection.get(f"/applications/{application_id}/status")).body:
                    await asyncio.sleep(LOOK_AGAIN_SECONDS)
        connection.close()


def _used(running: dict[str, Any]) -> Measured:
    """CPU seconds so far of each process and the client, and those for which the machine's cores had nothing to do."""
    times = psutil.cpu_times()
    return {**cpu_seconds_of_all(running["processes"]), "idle": times.idle + times.iowait}


def _by_part(before: Measured, after: Measured, number: float) -> Measured:
    """CPU µs between the two for each of a number of decisions or seconds, of each part, of all, and beside them."""
    used = {name: (after[name] - before[name]) / number * 1e6 for name in after}
    beside = {name: used.pop(name) for name in OF_THE_LOAD}
    parts = {part: sum(used[name] for name in names) for part, names in PARTS.items()}
    return {**parts, "all": sum(used.values()), **beside}


def _latencies(seen: Seen) -> Measured:
    if not seen.finals:
        return {}
    kinds = {"post": seen.posts, "final": seen.finals, "whole": seen.wholes}
    return {f"{kind} p{share}": at(share / 100, kinds[kind]) for kind in kinds for share in (50, 99)}


async def compare(base: Running, other: Running, load: Load, pairs: int, record: Record) -> list[Pair]:
    """Measure both in turn until there are `pairs` with those of the record, and add each to it; prints each."""
    seen = record.pairs()
    for warm in (base, other):
        await warm.measure(Load(WARM_UP))
    for number in range(len(seen), pairs):
        order = (base, other) if number % 2 == 0 else (other, base)
        measured = {running: await running.measure(load) for running in order}
        seen.append((measured[base], measured[other]))
        print(f"pair {number + 1}   base {_words(measured[base])}   other {_words(measured[other])}", flush=True)
        record.add(seen[-1])
    return seen


def _words(measured: Measured) -> str:
    return ", ".join(
        f"{name} {value:.1f}" if name in LATENCIES else f"{name} {value:.0f}" for name, value in measured.items()
    )


@dataclass(frozen=True)
class Compared:
    """One figure of all pairs: the medians of both sides, and the pairs' own ratios of other to base."""

    base: float
    other: float
    ratios: list[float]

    @classmethod
    def of(cls, pairs: list[Pair], name: str) -> Self:
        """This figure of the pairs."""
        base, other = (statistics.median(measured[name] for measured in side) for side in zip(*pairs, strict=True))
        return cls(base, other, sorted(pair[1][name] / pair[0][name] for pair in pairs))

    @property
    def ratio(self) -> float:
        """The median of the pairs' own."""
        return statistics.median(self.ratios)

    @property
    def words(self) -> str:
        """The ratio, between which it lies pair by pair, and whether that is more than noise."""
        between = f"pairs from {self.ratios[0]:.3f} to {self.ratios[-1]:.3f}"
        return f"ratio {self.ratio:.3f} ({between}), {verdict(self.ratios)}"


def report(seen: list[Pair], each_one: str = "decision") -> dict[str, float]:
    """Print the medians, and return the ratios of other to base: the median of the pairs' own."""
    names = [name for name in seen[0][0] if name not in OF_THE_LOAD]
    found = {name: Compared.of(seen, name) for name in names}
    for name, each in found.items():
        unit = "ms" if name in LATENCIES else "decisions" if name == "a second" else f"CPU µs a {each_one}"
        print(f"{name:9} {each.base:8.1f} → {each.other:8.1f} {unit}: {each.words}")
    for name in OF_THE_LOAD:
        base, other = (statistics.median(pair[side].get(name, 0.0) for pair in seen) for side in (0, 1))
        print(f"{name:9} {base:8.1f} → {other:8.1f} CPU µs a {each_one} beside them")
    return {name: each.ratio for name, each in found.items()}


def is_good(ratios: dict[str, float], most: float | None) -> bool:
    """Whether the ratio of all CPU is not above `most`."""
    return most is None or ratios["all"] <= most


def main() -> None:
    """Start both, compare, stop both; exit code 1 when the ratio of all CPU is above `--most`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", nargs="*", required=True, help="[folder] [NAME=value …]")
    parser.add_argument("--other", nargs="*", default=[], help="the same; by default this checkout as it is")
    parser.add_argument("--count", type=int, default=10_000, help=f"applications a burst, at most {MOST:,}")
    parser.add_argument("--rate", type=float, help="an even load of so many a second instead of a burst")
    parser.add_argument("--idle", action="store_true", help="no load: CPU µs a second of what has nothing to do")
    parser.add_argument("--seconds", type=float, default=30, help="how long an even load, or none, lasts, at most 300")
    parser.add_argument("--pairs", type=int, default=7, help="of all, with those of the record")
    parser.add_argument("--most", type=float, help="the highest ratio of all CPU that is good")
    parser.add_argument("--record", type=Path, help="a file of pairs to go on from, and for bench.plots")
    arguments = parser.parse_args()
    variants = [Variant.parse(list(words)) for words in (arguments.base, arguments.other)]
    seconds = min(arguments.seconds, 300)
    count = int(arguments.rate * seconds) if arguments.rate else arguments.count
    load = Load(0, None, seconds) if arguments.idle else Load(min(count, MOST), arguments.rate)
    record = Record(arguments.record, load.words, (variants[0].name, variants[1].name))
    if len(seen := record.pairs()) < arguments.pairs:
        seen = _compare(variants, load, arguments.pairs, record)
    sys.exit(not is_good(report(seen, "second" if arguments.idle else "decision"), arguments.most))


def _compare(variants: list[Variant], load: Load, pairs: int, record: Record) -> list[Pair]:
    with tempfile.TemporaryDirectory(prefix="compare-") as folder, ExitStack() as both:
        folders = [Path(tempfile.mkdtemp(prefix=name, dir=folder)) for name in ("base", "other")]
        base, other = (both.enter_context(Running(*each)) for each in zip(variants, folders, strict=True))
        return uvloop.run(compare(base, other, load, pairs, record))


if __name__ == "__main__":
    main()
