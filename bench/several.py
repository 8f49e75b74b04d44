"""What more processes cost: bursts through one process of each service and through two of each, in turn.

    python -m bench.several
    python -m bench.several --count 20000 --pairs 7 --partitions 12

Both ways use the same stores, and topics with the same number of partitions. Afterwards every application is compared
with what the oracle says.

Invariant: each figure is a ratio of the two ways in the same pair of the same run.
"""

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import uvloop

from bench.compare import REST_SECONDS, WARM_UP, Compared
from bench.load import Seen, burst, disagreements, seconds_until_decided
from bench.measures import cpu_seconds
from bench.pairs import Measured, Pair
from harness.broker import clients_of
from harness.keys import DRAW_KEYS, key
from harness.own_system import OwnSystem
from harness.system import Service, at_once
from prequal.messaging import topics

CONNECTIONS: Final = 256
"""So many that two APIs, too, have full batches: their posts are split between the two."""
SECOND: Final = ("api", "credit", "decision")


class Several:
    """A system to which a second process of the API and of both consumers is added, and taken from it again."""

    def __init__(self, system: OwnSystem) -> None:
        self._system = system
        self._second = [system.further(name, f"{name}-2") for name in SECOND]
        for each in self._second:
            each.environment["KAFKA_GROUP_INSTANCE_ID"] = each.log.stem  # two with one name put each other out
        self.seen = Seen()

    async def one(self, count: int) -> Measured:
        """A burst through one process of each, which has all partitions."""
        await self._warm([])
        return await self._measured(count, [])

    async def two(self, count: int) -> Measured:
        """The same through two of each, which are ready and have their partitions."""
        at_once(lambda service: service.launch(), self._second)
        at_once(lambda service: service.wait_until_ready(), self._second)
        await self._warm(self._second)
        measured = await self._measured(count, self._second)
        at_once(lambda service: service.end(), self._second)
        return measured

    async def _warm(self, second: Sequence[Service]) -> None:
        await seconds_until_decided(self._system.database_url, perf_counter(), await self._send(WARM_UP, second))

    async def _measured(self, count: int, second: Sequence[Service]) -> Measured:
        processes = {child.log.stem: {"pid": child.pid} for child in self._children(second)}
        before, began = cpu_seconds(processes), perf_counter()
        seen = await self._send(count, second)
        seconds = await seconds_until_decided(self._system.database_url, began, seen)
        await asyncio.sleep(REST_SECONDS)
        after = cpu_seconds(processes)
        return {
            "a second": len(seen.accepted) / seconds,
            "CPU µs": sum(after[name] - before[name] for name in after) / len(seen.accepted) * 1e6,
        }

    def _children(self, second: Sequence[Service]) -> list[Any]:
        return [self._system.postgres, self._system.kafka, *self._system.services.values(), *second]

    async def _send(self, count: int, second: Sequence[Service]) -> Seen:
        """Post to all processes of the API, as a balancer does; what was accepted is kept for the end."""
        seen = Seen()
        ports = [self._system.ports["api"], *(each.port for each in second if each.name == "api")]
        each = count // len(ports), CONNECTIONS // len(ports)
        await asyncio.gather(*(burst(port, *each, None, seen) for port in ports))
        if seen.refused:
            raise RuntimeError(f"accepted were {len(seen.accepted)}, refused {seen.refused}")
        self.seen.accepted |= seen.accepted
        return seen


async def pairs_of(several: Several, count: int, pairs: int) -> list[Pair]:
    """Measure both ways in turn, the other one first in every second pair."""
    found: list[Pair] = []
    for number in range(pairs):
        order = (several.one, several.two) if number % 2 == 0 else (several.two, several.one)
        seen = {way.__name__: await way(count) for way in order}
        found.append((seen["one"], seen["two"]))
        print(f"pair {number + 1}   {json.dumps({way: _rounded(seen[way]) for way in ('one', 'two')})}", flush=True)
    return found


def _rounded(measured: Measured) -> dict[str, int]:
    return {name: round(value) for name, value in measured.items()}


async def compare(system: OwnSystem, count: int, pairs: int) -> dict[str, int]:
    """Measure, and print the medians and ratios; returns what disagrees with the oracle."""
    several = Several(system)
    found = await pairs_of(several, count, pairs)
    for name in found[0][0]:
        each = Compared.of(found, name)
        print(f"{name:9} {each.base:8,.0f} → {each.other:8,.0f}: {each.words}")
    return await disagreements(system.database_url, several.seen, key(system.data.keys, DRAW_KEYS))


def main() -> None:
    """Start a system with so many partitions, compare, and end with 1 where something disagrees."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--partitions", type=int, default=6)
    parser.add_argument("--count", type=int, default=12_000, help="applications a burst")
    parser.add_argument("--pairs", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-several-") as folder, OwnSystem(Path(folder)) as system:
        topics.create(clients_of(system.bootstrap_servers), partitions=given.partitions)
        wrong = uvloop.run(compare(system, given.count, given.pairs))
    print(", ".join(f"{name}: {count}" for name, count in wrong.items()))
    sys.exit(any(wrong.values()))


if __name__ == "__main__":
    main()
