"""Bytes of a decision: in tables and indexes, in the WAL and on the topics, of one burst on a system of its own.

    python -m bench.footprint
    python -m bench.footprint --count 30000 --connections 256

Invariant: what the start and a first burst wrote is counted in nothing.
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
from bench.load import Seen, burst, seconds_until_decided
from harness.own_system import OwnSystem

ARCHIVED_SECONDS: Final = 3.0
"""Until the last events are archived, and the server has counted its commits."""
SIZES: Final = """
    SELECT relname, pg_total_relation_size(pg_class.oid) FROM pg_class
    WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
"""
WRITTEN: Final = """
    SELECT (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint AS wal, xact_commit AS commits
    FROM pg_stat_database WHERE datname = current_database()
"""


async def stored(system: OwnSystem) -> Counter[str]:
    """What the system has written by now: bytes by table, of the WAL and by topic, and commits."""
    connection = await asyncpg.connect(system.database_url)
    try:
        found = Counter[str]()
        for table, size in await connection.fetch(SIZES):
            found[table] = size
        written = await connection.fetchrow(WRITTEN)
    finally:
        await connection.close()
    assert written is not None
    found |= Counter({"WAL": written["wal"], "commits": written["commits"]})
    for log in system.data.kafka.rglob("*-[0-9]*/*.log"):
        found[f"topic {log.parent.name.rpartition('-')[0]}"] += log.stat().st_size
    return found


async def measure(system: OwnSystem, count: int, connections: int) -> None:
    """Send a burst to a warm system, and print what a decision of it left."""
    await _decided(system, WARM_UP, connections)
    before = await stored(system)
    decided = await _decided(system, count, connections)
    left = await stored(system)
    left.subtract(before)
    for name, written in left.most_common():
        if written / decided >= 1 or name == "commits":
            print(f"{name:32} {written / decided:10,.2f} a decision")


async def _decided(system: OwnSystem, count: int, connections: int) -> int:
    seen, began = Seen(), perf_counter()
    await burst(system.ports["api"], count, connections, None, seen)
    await seconds_until_decided(system.database_url, began, seen)
    await asyncio.sleep(REST_SECONDS + ARCHIVED_SECONDS)
    return len(seen.accepted)


def main() -> None:
    """Start a system and measure it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000, help="applications of the burst")
    parser.add_argument("--connections", type=int, default=64)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-footprint-") as folder, OwnSystem(Path(folder)) as system:
        uvloop.run(measure(system, given.count, given.connections))


if __name__ == "__main__":
    main()
