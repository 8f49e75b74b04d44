#!/usr/bin/env bash
# Polars 2.1.0, DuckDB 2.0.1, pandas 3.1.1 (PyPI); statistics of the standard library
#
# Done: of the monthly incomes 40,000, 50,000, 60,000 and 70,000 rupees each library is asked for the median, and for
#   the 0.5 quantile by its default.
# Expected: they are one number, 55,000, in each library and by each of the two names.
# Seen: all medians are 55,000. Polars' quantile(0.5) is 60,000 and DuckDB's quantile(income, 0.5) 50,000: one takes the
#   nearest of the four, the other the first that half of them reach. pandas and Python put it between two of them.
#   A limit that is a quantile of past incomes is 10,000 rupees apart, by the library that works it out.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

packages polars==2.1.0 duckdb==2.0.1 pandas==3.1.1

cat >"$work/incomes.py" <<'PYTHON'
import statistics

import duckdb
import pandas
import polars

INCOMES = [40_000, 50_000, 60_000, 70_000]


def asked(function):
    return duckdb.sql(f"SELECT {function} FROM (SELECT unnest({INCOMES}) AS income)").fetchall()[0][0]


series, incomes = pandas.Series(INCOMES), polars.Series(INCOMES)
for library, median, quantile in (
    ("statistics", statistics.median(INCOMES), statistics.quantiles(INCOMES, n=2)[0]),
    ("pandas", series.median(), series.quantile(0.5)),
    ("polars", incomes.median(), incomes.quantile(0.5)),
    ("duckdb", asked("median(income)"), asked("quantile(income, 0.5)")),
):
    print(library, int(median), int(quantile))
PYTHON
answers=$(python "$work/incomes.py")
[ "$answers" = "statistics 55000 55000
pandas 55000 55000
polars 55000 60000
duckdb 55000 50000" ] || fail "median and 0.5 quantile of four incomes: $answers"

echo "expected: the 0.5 quantile is the median, 55,000"
echo "seen: it is 60,000 by Polars' default and 50,000 by DuckDB's, whose medians are 55,000"
