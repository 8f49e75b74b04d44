"""Load a running system evenly for half an hour, and say whether what it takes levels off.

    python -m bench.soak
    python -m bench.soak --minutes 60 --rate 500 --record soak.jsonl --picture soak.svg
    python -m bench.soak --minutes 0 --record soak.jsonl --picture soak.svg    says and draws what was recorded

Every ten seconds it looks at memory and descriptors of each process with its children, sizes of tables and of their
indexes, dead rows, and Kafka's log. Reads `.prequal/run.json` (`prequal up` writes it); `prequal up` runs `maintain` as
a deployment does, at its start and then once a day.

Invariant: exit code 1 when something does not level off (`bench.levels`), or an application was not decided once, as
the oracle says.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import asyncpg
import psutil
import uvloop

from bench import machine
from bench.levels import FIGURES, Figure, Level, Sample
from bench.load import Seen, disagreements, seconds_until_decided, steady
from bench.measures import percentiles
from bench.pairs import lines_of
from bench.soak_plot import picture
from harness.keys import DRAW_KEYS, key

EVERY_SECONDS: Final = 10.0
WATCHED_A_SECOND: Final = 5
REST_SECONDS: Final = 1.0
LEAST_BYTES: Final = 2**18
"""Smaller tables are not looked at: that they grow is seen once they are no longer small."""
TABLES: Final = """
    SELECT coalesce(pg_partition_root(c.oid), c.oid)::regclass::text AS name,
           sum(pg_table_size(c.oid))::bigint AS bytes, sum(pg_indexes_size(c.oid))::bigint AS index_bytes,
           sum(s.n_live_tup)::bigint AS live, sum(s.n_dead_tup)::bigint AS dead
    FROM pg_class AS c JOIN pg_stat_user_tables AS s ON s.relid = c.oid
    WHERE c.relkind = 'r'
    GROUP BY 1
    HAVING sum(pg_total_relation_size(c.oid)) >= $1
"""
COLUMNS: Final = {"tables": "bytes", "indexes": "index_bytes", "rows": "live", "dead rows": "dead"}


def of_processes(processes: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Memory in MiB, what several share counted once (PSS), and open descriptors, of each with its children."""
    memory: dict[str, float] = {}
    descriptors: dict[str, float] = {}
    for name, about in processes.items():
        process = psutil.Process(about["pid"])
        memory[name] = descriptors[name] = 0.0
        for member in (process, *process.children(recursive=True)):
            try:
                pss, opened = member.memory_full_info().pss, member.num_fds()
            except psutil.NoSuchProcess:  # a backend whose client has gone
                continue
            memory[name] += pss / 2**20
            descriptors[name] += opened
    return {"memory": {name: round(mib, 2) for name, mib in memory.items()}, "descriptors": descriptors}


def log_bytes(folder: Path) -> int:
    """Of the broker's data folder; a file that goes meanwhile is no part of it."""
    found = 0
    for file in folder.rglob("*.log"):
        try:
            found += file.stat().st_size
        except FileNotFoundError:
            continue
    return found


async def of_tables(
    connection: "asyncpg.Connection[asyncpg.Record]", least_bytes: int = LEAST_BYTES
) -> dict[str, dict[str, int]]:
    """Bytes of each table and of its indexes, its live rows and its dead ones; of a partitioned one all together."""
    rows = await connection.fetch(TABLES, least_bytes)
    return {name: {row["name"]: row[column] for row in rows} for name, column in COLUMNS.items()}


async def look(running: dict[str, Any], data: Path, began: float, seen: Seen, add: Callable[[Sample], None]) -> None:
    """Hand over a sample every ten seconds, until it is cancelled."""
    connection = await asyncpg.connect(running["database_url"])
    try:
        while True:
            sample = {
                "at": round(perf_counter() - began, 1),
                "decided": len(seen.accepted),
                **await asyncio.to_thread(of_processes, running["processes"]),
                **await of_tables(connection),
                "log": {"all topics": await asyncio.to_thread(log_bytes, data / "kafka" / "data")},
            }
            add(sample)
            await asyncio.sleep(EVERY_SECONDS - (perf_counter() - began) % EVERY_SECONDS)
    finally:
        await connection.close()


async def soak(running: dict[str, Any], data: Path, rate: float, seconds: float, record: Path) -> dict[str, int]:
    """Load and look, each sample a line of the record; returns what disagrees with the oracle."""
    began, seen = perf_counter(), Seen()
    with record.open("w", encoding="utf-8") as file:

        def add(sample: Sample) -> None:
            file.write(json.dumps(sample) + "\n")
            file.flush()

        looking = asyncio.create_task(look(running, data, began, seen, add))
        await steady(
            running["processes"]["api"]["port"], rate, seconds, max(1, round(rate / WATCHED_A_SECOND)), None, seen
        )
        looking.cancel()
        await asyncio.wait([looking])
        if not looking.cancelled():
            looking.result()
    await seconds_until_decided(running["database_url"], began, seen)
    await asyncio.sleep(REST_SECONDS)
    print(f"accepted {len(seen.accepted):,}, refused {seen.refused or 0}; 202 → final {percentiles(seen.finals)}")
    return await disagreements(running["database_url"], seen, key(data / "keys.env", DRAW_KEYS))


def judge(samples: Sequence[Sample], figures: Sequence[Figure] = FIGURES) -> list[str]:
    """Print each series' level and rise over the last third; returns those that do not level off."""
    rising = []
    for figure in figures:
        for name, points in figure.series(samples).items():
            level = Level.of(points)
            verdict = "levels off" if level.is_reached(figure) else "RISES"
            print(f"{figure.name:30} {name:24} {level.level:10,.2f}, {level.rise:+9,.2f} in the last third: {verdict}")
            if not level.is_reached(figure):
                rising.append(f"{figure.name} of {name}")
    return rising


def main() -> None:
    """Load, look, judge, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--rate", type=float, default=200, help="applications a second")
    parser.add_argument("--record", type=Path, default=Path("soak.jsonl"), help="a file for the samples, replaced")
    parser.add_argument("--picture", type=Path, help="an SVG to draw them into")
    parser.add_argument("--data", type=Path, default=Path(".prequal"))
    given = parser.parse_args()
    wrong: dict[str, int] = {}
    if given.minutes:
        running = json.loads((given.data / "run.json").read_text())
        print(machine.words(), flush=True)
        wrong = uvloop.run(soak(running, given.data, given.rate, given.minutes * 60, given.record))
    samples = [*lines_of(given.record.read_text("utf-8"))]
    rising = judge(samples)
    if given.picture:
        given.picture.write_text(picture(samples), "utf-8")
    print(", ".join(f"{name}: {count}" for name, count in wrong.items()))
    print(f"does not level off: {', '.join(rising)}" if rising else "everything levels off")
    sys.exit(bool(rising or any(wrong.values())))


if __name__ == "__main__":
    main()
