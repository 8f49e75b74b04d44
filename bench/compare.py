"""Compare two variants by CPU µs a decision: two checkouts, or two environments of one.

    python -m bench.compare --base /tmp/before --other .
    python -m bench.compare --base . --other . OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318

A variant is the folder of a checkout that has its `.venv/`, and settings of its own. Each runs as its own `prequal up`,
on a folder and ports of its own, both for the whole time; bursts go to one and the other in turn, and the order changes
with each pair.

Invariant: a variant is asked by HTTP and measured by /proc, so that two checkouts need agree on nothing but the API.
"""

import argparse
import asyncio
import json
import os
import signal
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, Final, Self, TypeAlias

import uvloop

from bench.load import Seen, burst, cpu_seconds
from harness.client import Connection
from harness.ports import reserve
from prequal.core.errors import Transient
from prequal.local.child_process import Child
from prequal.local.services import is_ready

HERE: Final = Path(__file__).parent.parent
CONNECTIONS: Final = 64
WARM_UP: Final = 5_000
MOST: Final = 50_000
START_SECONDS: Final = 180.0
STOP_SECONDS: Final = 20.0
REST_SECONDS: Final = 1.0
"""After each burst: what was published is archived, and what is written late is written."""

PORTS: Final = ("POSTGRES", "KAFKA", "KAFKA_CONTROLLER", "API", "CREDIT", "DECISION", "PUBLISHER")
PARTS: Final = {"python": ("api", "credit", "decision", "publisher"), "postgres": ("postgres",), "kafka": ("kafka",)}
OF_THE_MACHINE: Final = ("PATH", "HOME", "LANG", "TZ", "TMPDIR")
"""What is passed on: other settings are not meant for what is compared."""
DECIDED_SECONDS: Final = 180.0
LOOK_AGAIN_SECONDS: Final = 0.02

Measured: TypeAlias = dict[str, float]
"""CPU µs a decision by part, and decisions a second."""
Pair: TypeAlias = tuple[Measured, Measured]


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


class Running(Child):
    """A variant's `prequal up`; `with` starts it, waits until it serves, and stops it."""

    def __init__(self, variant: Variant, folder: Path) -> None:
        self._ports = dict(zip(PORTS, reserve(len(PORTS)), strict=True))
        super().__init__("prequal up", self._ports["API"], folder / "up.log")
        self._variant = variant
        self._folder = folder

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

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop_for_good(STOP_SECONDS)

    async def measure(self, count: int) -> Measured:
        """Send a burst; CPU µs a decision, by part. Raises RuntimeError when not all of it was decided."""
        running: dict[str, Any] = json.loads((self._folder / "data" / "run.json").read_text())
        seen, before, began = Seen(), cpu_seconds(running["processes"]), perf_counter()
        await burst(self.port, count, CONNECTIONS, None, seen)
        ids = [str(application_id) for application_id in seen.accepted]
        await self._wait_until_decided(ids[-CONNECTIONS:])
        seconds = perf_counter() - began
        await asyncio.sleep(REST_SECONDS)
        after = cpu_seconds(running["processes"])
        await self._wait_until_decided(ids)
        if len(ids) < count:
            raise RuntimeError(f"of {count} were accepted {len(ids)}, refused {seen.refused}")
        used = {name: (after[name] - before[name]) / count * 1e6 for name in after}
        parts = {part: sum(used[name] for name in names) for part, names in PARTS.items()}
        return {**parts, "all": sum(used.values()), "a second": count / seconds}

    async def _wait_until_decided(self, ids: list[str]) -> None:
        """Ask for each of these until it is decided. Raises TimeoutError when they are not in time."""
        connection = await Connection.open(self.port)
        async with asyncio.timeout(DECIDED_SECONDS):
            for application_id in ids:
                while b'"PENDING"' in (await connection.get(f"/applications/{application_id}/status")).body:
                    await asyncio.sleep(LOOK_AGAIN_SECONDS)
        connection.close()


async def compare(base: Running, other: Running, count: int, pairs: int) -> list[Pair]:
    """Measure both in turn, `pairs` times, and print each pair."""
    for warm in (base, other):
        await warm.measure(WARM_UP)
    seen: list[Pair] = []
    for number in range(pairs):
        order = (base, other) if number % 2 == 0 else (other, base)
        measured = {running: await running.measure(count) for running in order}
        seen.append((measured[base], measured[other]))
        print(f"pair {number + 1}   base {_words(measured[base])}   other {_words(measured[other])}", flush=True)
    return seen


def _words(measured: Measured) -> str:
    return ", ".join(f"{part} {value:.0f}" for part, value in measured.items())


def report(seen: list[Pair]) -> dict[str, float]:
    """Print the medians, and return the ratios of other to base: the median of the pairs' own."""
    ratios = {}
    for part in (*PARTS, "all"):
        base, other = (statistics.median(measured[part] for measured in side) for side in zip(*seen, strict=True))
        each = sorted(pair[1][part] / pair[0][part] for pair in seen)
        ratios[part] = statistics.median(each)
        print(
            f"{part:9} {base:6.0f} → {other:6.0f} CPU µs a decision: ratio {ratios[part]:.3f}"
            f" (pairs from {each[0]:.3f} to {each[-1]:.3f})"
        )
    return ratios


def main() -> None:
    """Start both, compare, stop both; exit code 1 when the Python processes' ratio is above `--most`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", nargs="*", required=True, help="[folder] [NAME=value …]")
    parser.add_argument("--other", nargs="*", default=[], help="the same; by default this checkout as it is")
    parser.add_argument("--count", type=int, default=10_000, help=f"applications a burst, at most {MOST:,}")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--most", type=float, help="the highest ratio that is good")
    arguments = parser.parse_args()
    variants = [Variant.parse(list(words)) for words in (arguments.base, arguments.other)]
    with tempfile.TemporaryDirectory(prefix="compare-") as folder, ExitStack() as both:
        folders = [Path(tempfile.mkdtemp(prefix=name, dir=folder)) for name in ("base", "other")]
        base, other = (both.enter_context(Running(*each)) for each in zip(variants, folders, strict=True))
        ratios = report(uvloop.run(compare(base, other, min(arguments.count, MOST), arguments.pairs)))
    sys.exit(arguments.most is not None and ratios["python"] > arguments.most)


if __name__ == "__main__":
    main()
