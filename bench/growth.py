"""What a long past costs: bursts on a system with millions of applications and on one without, in turn.

    python -m bench.growth --rows 10000000
    python -m bench.growth --rows 1000000 --seconds 20 --pairs 3

Each takes posts for a minute right after a CHECKPOINT, where every page is written whole at its first touch, and for
another one behind it, as fast as its connections go; then the status of some is read, and some are posted again, which
are duplicates.

Invariant: both run the whole time on the same machine, and each figure is a ratio of the two in the same pair.
"""

import argparse
import asyncio
import json
import statistics
import tempfile
from collections import defaultdict
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Final

import psycopg
import uvloop

from bench.compare import CONNECTIONS, WARM_UP, Compared
from bench.load import Seen, burst, seconds_until_decided
from bench.measures import cpu_seconds
from bench.pairs import Measured, Pair
from bench.past import fill
from harness.client import Connection
from harness.own_system import OwnSystem

READ: Final = 1_000
REPEATED: Final = 50
REPEATED_EVERY_SECONDS: Final = 0.1
"""Of each burst so many are read, and so many posted again, as slowly as the API takes repeats from a client."""
MOST: Final = 1_000_000
"""A window's applications, however fast they are taken."""
PHASES: Final = ("after a checkpoint", "the burst after it")


@dataclass(frozen=True)
class Side:
    """A system, and how its windows are called."""

    name: str
    system: OwnSystem

    @property
    def port(self) -> int:
        """Of the API."""
        return self.system.ports["api"]

    async def window(self, seconds: float, most: int = MOST) -> Measured:
        """One burst: decisions a second, PostgreSQL's CPU µs and the bytes of WAL a decision, and the asking's ms."""
        seen, postgres = Seen(), {"postgres": {"pid": self.system.postgres.pid}}
        used, wal, began = cpu_seconds(postgres)["postgres"], self._wal_bytes(), perf_counter()
        await burst(self.port, most, CONNECTIONS, None, seen, seconds=seconds)
        decided, took = len(seen.accepted), await seconds_until_decided(self.system.database_url, began, seen)
        used, wal = cpu_seconds(postgres)["postgres"] - used, self._wal_bytes() - wal
        return {
            "decisions/s": decided / took,
            "PostgreSQL µs": used / decided * 1e6,
            "WAL bytes": wal / decided,
            **await self._asked(seen),
        }

    async def _asked(self, seen: Seen) -> Measured:
        """How long a status takes, and the refusal of a duplicate: the medians in ms."""
        connection = await Connection.open(self.port)
        answers: dict[int, list[float]] = defaultdict(list)
        for application_id in [*seen.accepted][:: max(1, len(seen.accepted) // READ)]:
            answer = await connection.get(f"/applications/{application_id}/status")
            answers[answer.status].append(answer.seconds)
        for body in [*seen.accepted.values()][:: max(1, len(seen.accepted) // REPEATED)]:
            await asyncio.sleep(REPEATED_EVERY_SECONDS)
            answer = await connection.post("/applications", json.dumps(body).encode())
            answers[answer.status].append(answer.seconds)
        connection.close()
        # Others posted the PAN of a rejected application again, which is accepted.
        return {"status ms": statistics.median(answers[200]) * 1e3, "409 ms": statistics.median(answers[409]) * 1e3}

    def checkpoint(self) -> None:
        """Have the server write everything, so that the next touch of a page writes it whole into the WAL."""
        with psycopg.connect(self.system.database_url, autocommit=True) as connection:
            connection.execute("CHECKPOINT")

    def _wal_bytes(self) -> float:
        with psycopg.connect(self.system.database_url) as connection:
            row = connection.execute("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn").fetchone()
            return float(row[0]) if row else 0.0


async def pairs_of(empty: Side, full: Side, seconds: float, pairs: int) -> dict[str, list[Pair]]:
    """Measure both in turn, the other one first in every second pair; by phase what was seen of both, pair by pair."""
    for side in (empty, full):
        await side.window(seconds, WARM_UP)
    found: dict[str, list[Pair]] = {phase: [] for phase in PHASES}
    for number in range(pairs):
        seen: dict[tuple[str, str], Measured] = {}
        for side in (empty, full) if number % 2 == 0 else (full, empty):
            side.checkpoint()
            for phase in PHASES:
                measured = seen[side.name, phase] = await side.window(seconds)
                words = ", ".join(f"{name} {value:,.1f}" for name, value in measured.items())
                print(f"pair {number + 1}   {side.name:6} {phase:18} {words}", flush=True)
        for phase in PHASES:
            found[phase].append((seen[empty.name, phase], seen[full.name, phase]))
    return found


def report(found: dict[str, list[Pair]]) -> None:
    """Print of each phase the medians, and the median, the least and the greatest of the pairs' ratios."""
    for phase, seen in found.items():
        for name in seen[0][0]:
            each = Compared.of(seen, name)
            print(f"{phase:18} {name:14} {each.base:9,.1f} → {each.other:9,.1f}: {each.words}")


def main() -> None:
    """Start both, fill one, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=60, help="how long a window lasts")
    parser.add_argument("--pairs", type=int, default=5)
    given = parser.parse_args()
    with ExitStack() as both:
        folder = Path(both.enter_context(tempfile.TemporaryDirectory(prefix="bench-growth-")))
        empty, full = (Side(name, both.enter_context(OwnSystem(folder / name))) for name in ("empty", "full"))
        began = perf_counter()
        fill(full.system.database_url, given.rows)
        print(f"{given.rows:,} applications were filled in within {perf_counter() - began:.0f} s", flush=True)
        report(uvloop.run(pairs_of(empty, full, given.seconds, given.pairs)))


if __name__ == "__main__":
    main()
