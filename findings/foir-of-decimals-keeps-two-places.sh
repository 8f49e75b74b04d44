#!/usr/bin/env bash
# polars 2.1.0, pyarrow 26.0.1, duckdb 2.0.1, on pandas 3.1.1 (PyPI)
#
# Done: the ratio of instalments to income, FOIR, of 25,240.00 to 50,000.00 rupees in columns of DECIMAL(12, 2), and
#   whether it is at most 0.50.
# Expected: 0.5048 with more places than its parts, as in SQL, and no.
# Seen: pyarrow and pandas give 13 places and DuckDB a double. Polars' expression keeps the two places of the parts:
#   0.50, and so yes, while its own SQL gives eight places, and no. A product keeps the places of its finer part: a
#   charge of 12.5 % on 1.01 is 0.126. Cast to more places before you divide.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

packages polars==2.1.0 pyarrow==26.0.1 duckdb==2.0.1 pandas==3.1.1

cat >"$work/foir.py" <<'PYTHON'
from decimal import Decimal

import duckdb
import pandas
import polars
import pyarrow
import pyarrow.compute

PAISE = pyarrow.decimal128(12, 2)
LIMIT = Decimal("0.50")
owed, income = (pyarrow.array([Decimal(amount)], PAISE) for amount in ("25240.00", "50000.00"))
table = pyarrow.table({"owed": owed, "income": income})
frame = polars.from_arrow(table)
series = table.to_pandas(types_mapper=pandas.ArrowDtype)
ratios = {
    "duckdb": duckdb.from_arrow(table).project("owed / income").fetchall()[0][0],
    "pyarrow": pyarrow.compute.divide(owed, income)[0].as_py(),
    "pandas": (series["owed"] / series["income"])[0],
    "polars sql": frame.sql("SELECT owed / income FROM self").item(),
    "polars": frame.select(polars.col("owed") / polars.col("income")).item(),
}
for tool, ratio in ratios.items():
    print(tool, ratio, "passes" if ratio <= LIMIT else "fails")
amount = polars.Series([Decimal("1.01")], dtype=polars.Decimal(12, 2))
rate = polars.Series([Decimal("0.125")], dtype=polars.Decimal(4, 3))
print("polars charge", (amount * rate).item())
PYTHON
answers=$(python "$work/foir.py")
[ "$answers" = "duckdb 0.5048 fails
pyarrow 0.5048000000000 fails
pandas 0.5048000000000 fails
polars sql 0.50480000 fails
polars 0.50 passes
polars charge 0.126" ] || fail "25,240 to 50,000 rupees, and 12.5 % of 1.01: $answers"

echo "expected: 25,240.00 / 50,000.00 is 0.5048, which is over a limit of 0.50"
echo "seen: in Polars it is 0.50, which passes; by its SQL, in pyarrow, pandas and DuckDB it does not"
