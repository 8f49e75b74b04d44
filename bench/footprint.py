"""Bytes of a decision: in tables and indexes, in the WAL and on the topics, of one load on a system of its own.

    python -m bench.footprint
    python -m bench.footprint --count 30000 --connections 256
    python -m bench.footprint --rate 200        evenly instead of as fast as the connections go

Invariant: what the start and a first load wrote is counted in nothing.
"""

import argparse
import asyncio
import tempfile
from collections import Counter
from pathlib import Path
from time import perf_counter
from typing import Final

import asyncpg
import uvloop

from bench.compare import REST_SECONDS, WARM_UP
from bench.load import Seen, burst, seconds_until_decided, steady
from harness.own_system import OwnSystem

ARCHIVED_SECONDS: Final = 3.0
"""Until the last events are archived, and the server has counted its commits."""
COMMITS: Final = "commits"
HEAP_ONLY: Final = "heap-only updates"
SIZES: Final = """
    SELECT relname, pg_total_relation_size(pg_class.oid) FROM pg_class
    WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
"""
WRITTEN: Final = """
    SELECT (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint AS wal, xact_commit AS commits,
           (SELECT n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'applications') AS heap_only
    FROM pg_stat_database WHERE datname = current_database()
"""


async def stored(system: OwnSystem) -> Counter[str]:
    """What the system has written by now: bytes by table, of the WAL and by topic, commits and heap-only updates."""
    connection = await asyncpg.connect(system.database_url)
    try:
        found = Counter[str]()
        for table, size in await connection.fetch(SIZES):
            found[table] = size
        written = await connection.fetchrow(WRITTEN)
    finally:
        await connection.close()
    assert written is not None
    found |= Counter({"WAL": written["wal"], COMMITS: written["commits"], HEAP_ONLY: written["heap_only"]})
    for log in system.data.kafka.rglob("*-[0-9]*/*.log"):
        found[f"topic {log.parent.name.rpartition('-')[0]}"] += log.stat().st_size
    return found


async def measure(system: OwnSystem, count: int, connections: int, rate: float) -> None:
    """Load a warm system, evenly where a rate is given, and print what a decision left."""
    await _decided(system, WARM_UP, connections, rate)
    before = await stored(system)
    decided = await _decided(system, count, connections, rate)
    left = await stored(system)
    left.subtract(before)
    for name, written in left.most_common():
        if written / decided >= 1 or name in (COMMITS, HEAP_ONLY):
            print(f"{name:32} {written / decided:10,.2f} a decision")


async def _decided(system: OwnSystem, count: int, connections: int, rate: float) -> int:
    seen, began, port = Seen(), perf_counter(), system.ports["api"]
    if rate:
        await steady(port, rate, count / rate, count + 1, None, seen)
    else:
        await burst(port, count, connections, None, seen)
    await seconds_until_decided(system.database_url, began, seen)
    await asyncio.sleep(REST_SECONDS + ARCHIVED_SECONDS)
    return len(seen.accepted)


def main() -> None:
    """Start a system and measure it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000, help="applications that are counted")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--rate", type=float, default=0, help="applications a second; by default a burst")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-footprint-") as folder, OwnSystem(Path(folder)) as system:
        uvloop.run(measure(system, given.count, given.connections, given.rate))


if __name__ == "__main__":
    main()
