#!/usr/bin/env bash
# pyarrow 26.0.1, pandas 3.1.1, polars 2.1.0, duckdb 2.0.1 (PyPI)
#
# Done: four of ten loans defaulted. The flags are whole decimals, as databases without a small integer hand them out;
#   the share of defaults is their mean. Then the median of two incomes, 1.00 and 1.01, in DECIMAL(12, 2).
# Expected: 0.4 in each tool, and 1.005.
# Seen: pyarrow, and pandas on Arrow's types alone and by group, give a mean the places of its column: 0. With plain
#   objects pandas gives 0.4, as do Polars and DuckDB. DuckDB's median does the same: 1.00, and 0 of five ones in ten.
#   No error, no warning. Cast to a wider decimal or to double before you take a mean.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

packages pyarrow==26.0.1 pandas==3.1.1 polars==2.1.0 duckdb==2.0.1

cat >"$work/mean.py" <<'PYTHON'
from decimal import Decimal

import duckdb
import pandas
import polars
import pyarrow
import pyarrow.compute


def decimals(values, places):
    return pyarrow.array([Decimal(value) for value in values], pyarrow.decimal128(12, places))


loans = pyarrow.table({"bank": ["a"] * 10, "bad": decimals([1] * 4 + [0] * 6, 0)})
frame = loans.to_pandas(types_mapper=pandas.ArrowDtype)
print("pyarrow", pyarrow.compute.mean(loans["bad"]))
print("pandas", frame["bad"].mean(), frame.groupby("bank")["bad"].mean().item(), loans.to_pandas()["bad"].mean())
print("polars", polars.from_arrow(loans)["bad"].mean())
print("duckdb", duckdb.from_arrow(loans).aggregate("avg(bad)").fetchall()[0][0])

pair = pyarrow.table({"income": decimals(["1.00", "1.01"], 2)})
print("median in pandas", pair.to_pandas(types_mapper=pandas.ArrowDtype)["income"].median())
print("median in polars", polars.from_arrow(pair)["income"].median())
print("median in duckdb", duckdb.from_arrow(pair).aggregate("median(income)").fetchall()[0][0])
flags = pyarrow.table({"bad": decimals([1] * 5 + [0] * 5, 0)})
print("median of five in ten in duckdb", duckdb.from_arrow(flags).aggregate("median(bad)").fetchall()[0][0])
PYTHON
answers=$(python "$work/mean.py")
[ "$answers" = "pyarrow 0
pandas 0 0 0.4
polars 0.4
duckdb 0.4
median in pandas 1.005
median in polars 1.005
median in duckdb 1.00
median of five in ten in duckdb 0" ] || fail "means, in pandas by itself, by group and of objects; medians: $answers"

echo "expected: the mean of four ones and six zeros is 0.4, also when they are decimals"
echo "seen: in pyarrow and in pandas on Arrow's types it is 0; in DuckDB the median of 1.00 and 1.01 is 1.00"
