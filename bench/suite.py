"""Measure a running system from end to end, beside what the same machine takes for the bare work: `make bench`.

    python -m bench.suite
    python -m bench.suite --seconds 60 --record bench.json

At saturation over 128 connections, evenly at 5, 200 and 1,000 a second, and at the highest even rate that holds, which
is sought downwards from saturation. Reads `.prequal/run.json` for the addresses (`prequal up` writes it).

Invariant: each figure stands beside its ratio to a limit of the same run (`bench.floor`), and the client's own CPU
beside the system's; at the end every application was decided once, as the oracle says, or the exit code is 1.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import uvloop

from bench import machine
from bench.floor import Floor
from bench.load import Seen, burst, disagreements, seconds_until_decided, steady
from bench.measures import CLIENT, at, cpu_seconds_of_all, mebibytes
from harness.keys import DRAW_KEYS, key

CONNECTIONS: Final = 128
WARM_UP: Final = 5_000
MOST: Final = 1_000_000
RATES: Final = (5.0, 200.0, 1000.0)
SHARES: Final = (0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.6, 0.5)
"""Of the rate at saturation, tried one after the other until one holds."""
WATCHED_A_SECOND: Final = 20
SATURATED_SAMPLE: Final = 50
SUSTAINED: Final = "sustained at "
REST_SECONDS: Final = 1.0
BEHIND_SECONDS: Final = 1.0
"""A rate holds that is decided so soon after its last post was due, and whose slowest hundredth is no slower."""


@dataclass(frozen=True)
class Result:
    """What a load saw.

    Attributes:
        name: the load's.
        due_seconds: for how long posts were due; 0 where they followed one another.
        decided_a_second: over the time until all was decided.
        decided_seconds: until all was decided.
        refused: posts that were answered otherwise than 202.
        post_ms: from when a post was due to its answer, p50 and p99.
        final_ms: from the 202 to the final status, likewise.
        whole_ms: from when a post was due to the final status, likewise.
        late_p99_ms: from when a post was due to its sending.
        cpu_us: CPU µs a decision, by process.
        memory_mib: resident at the end, by process.
    """

    name: str
    due_seconds: float
    decided_a_second: float
    decided_seconds: float
    refused: int
    post_ms: tuple[float, float]
    final_ms: tuple[float, float]
    whole_ms: tuple[float, float]
    late_p99_ms: float
    cpu_us: dict[str, float]
    memory_mib: dict[str, float]

    @property
    def is_at_limit(self) -> bool:
        """Whether it went as fast as the machine does, so that its rate and its batches are those of the limits."""
        return not self.due_seconds or self.name.startswith(SUSTAINED)

    @property
    def holds(self) -> bool:
        """Whether nothing was refused, and what was accepted was decided as it came."""
        is_behind = self.decided_seconds > self.due_seconds + BEHIND_SECONDS or self.whole_ms[1] > BEHIND_SECONDS * 1e3
        return not self.refused and not is_behind

    @property
    def system_us(self) -> float:
        """CPU µs a decision of all but the client."""
        return sum(micros for name, micros in self.cpu_us.items() if name != CLIENT)


class Suite:
    """The loads on one system, and all that it accepted."""

    def __init__(self, running: dict[str, Any]) -> None:
        self._running = running
        self._port: int = running["processes"]["api"]["port"]
        self.accepted = Seen()

    async def saturated(self, seconds: float) -> Result:
        """As fast as the connections go."""

        async def send(seen: Seen) -> None:
            await burst(self._port, MOST, CONNECTIONS, None, seen, seconds=seconds, sample=SATURATED_SAMPLE)

        return await self._measured("saturation", 0.0, send)

    async def evenly(self, rate: float, seconds: float, name: str = "") -> Result:
        """At a rate, with some watched until they are final."""
        sample = max(1, round(rate / WATCHED_A_SECOND))
        name = name or f"{rate:,.0f}/s"
        return await self._measured(name, seconds, lambda seen: steady(self._port, rate, seconds, sample, None, seen))

    async def sustained(self, saturated: float, seconds: float) -> Result | None:
        """At the highest even rate that holds, sought downwards from that at saturation; None when none does."""
        for share in SHARES:
            found = await self.evenly(share * saturated, seconds, f"{SUSTAINED}{share * saturated:,.0f}/s")
            if found.holds:
                return found
            print(f"{found.name.removeprefix(SUSTAINED)} does not hold: {_why(found)}", flush=True)
        return None

    async def warm_up(self) -> None:
        """A burst that is not measured."""
        began = perf_counter()
        await burst(self._port, WARM_UP, CONNECTIONS, None, self.accepted)
        await seconds_until_decided(self._running["database_url"], began, self.accepted)

    async def _measured(self, name: str, due: float, send: Callable[[Seen], Awaitable[None]]) -> Result:
        processes = self._running["processes"]
        seen, before, began = Seen(), cpu_seconds_of_all(processes), perf_counter()
        await send(seen)
        seconds = await seconds_until_decided(self._running["database_url"], began, seen)
        await asyncio.sleep(REST_SECONDS)
        used = cpu_seconds_of_all(processes)
        self.accepted.accepted |= seen.accepted
        count = len(seen.accepted)
        return Result(
            name,
            due,
            count / seconds,
            seconds,
            sum(seen.refused.values()),
            _both(seen.posts),
            _both(seen.finals),
            _both(seen.wholes),
            at(0.99, seen.late),
            {each: (used[each] - before[each]) / count * 1e6 for each in used},
            mebibytes(processes),
        )


def _both(seconds: list[float]) -> tuple[float, float]:
    return at(0.5, seconds), at(0.99, seconds)


def _why(found: Result) -> str:
    behind = found.decided_seconds - found.due_seconds
    return f"refused {found.refused}, decided {behind:.1f} s after the last was due, p99 {found.whole_ms[1]:.0f} ms"


def lines_of(found: Result, floor: Floor) -> list[str]:
    """A load's figures for people, each that has a limit with its ratio to it."""
    latencies = (
        ("POST", found.post_ms, floor.post_ms, "a commit"),
        ("202 → final", found.final_ms, floor.final_ms, "two hops and three commits"),
        ("due → final", found.whole_ms, floor.post_ms + floor.final_ms, "two hops and four commits"),
    )
    cpu = ", ".join(f"{name} {micros:.0f}" for name, micros in found.cpu_us.items())
    return [
        f"{found.name}: {found.decided_a_second:,.0f} decisions/s; refused {found.refused}; "
        f"sent late by {found.late_p99_ms:.1f} ms (p99)",
        *(
            f"  {name:12} p50 {ms[0]:8.1f} ms, p99 {ms[1]:8.1f} ms; p50 is {ms[0] / limit:.1f} times {what}"
            for name, ms, limit, what in latencies
        ),
        f"  CPU µs a decision: {found.system_us:.0f} without the client's: {cpu}",
        *([_shares(found, floor)] if found.is_at_limit else []),
        "  MiB: " + ", ".join(f"{name} {resident:.0f}" for name, resident in found.memory_mib.items()),
    ]


def _shares(found: Result, floor: Floor) -> str:
    rate, cpu = found.decided_a_second, found.cpu_us
    return (
        f"  decisions/s are {rate / floor.inserts_a_second:.2f} of bare inserts, {rate / floor.hops_a_second:.2f} of "
        f"bare hops, {rate / floor.decisions_a_second:.2f} of what the cores have CPU for; CPU is "
        f"{cpu['postgres'] / floor.cpu_us['postgres']:.1f} times the inserts' in PostgreSQL, "
        f"{cpu['kafka'] / floor.cpu_us['kafka']:.1f} times the hops' in Kafka"
    )


async def run(running: dict[str, Any], seconds: float) -> tuple[Floor, list[Result], Suite]:
    """All loads; each is printed when it is done."""
    suite, floor = Suite(running), await Floor.measure(running)
    print(f"floor: {floor.words}", flush=True)
    await suite.warm_up()
    results = [await suite.saturated(seconds)]
    print(*lines_of(results[0], floor), sep="\n", flush=True)
    for rate in RATES:
        results.append(await suite.evenly(rate, seconds))
        print(*lines_of(results[-1], floor), sep="\n", flush=True)
    if (held := await suite.sustained(results[0].decided_a_second, seconds)) is not None:
        results.append(held)
        print(*lines_of(held, floor), sep="\n", flush=True)
    return floor, results, suite


async def main() -> None:
    """Run all loads on the system that runs, and compare every application with the oracle."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20, help="of each load")
    parser.add_argument("--record", type=Path, help="a file for all figures, as JSON")
    parser.add_argument("--data", type=Path, default=Path(".prequal"))
    given = parser.parse_args()
    running = json.loads((given.data / "run.json").read_text())
    print(measured_on := machine.words(), flush=True)
    floor, results, suite = await run(running, given.seconds)
    if given.record:
        found = {"machine": measured_on, "floor": asdict(floor), "loads": [asdict(each) for each in results]}
        given.record.write_text(json.dumps(found, indent=1) + "\n")
    wrong = await disagreements(running["database_url"], suite.accepted, key(given.data / "keys.env", DRAW_KEYS))
    print(", ".join(f"{name}: {count}" for name, count in wrong.items()))
    sys.exit(any(wrong.values()))


if __name__ == "__main__":
    uvloop.run(main())
