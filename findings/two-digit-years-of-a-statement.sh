#!/usr/bin/env bash
# duckdb 2.0.1, polars 2.1.0, pandas 3.1.1 (PyPI)
#
# Done: a bank statement with dates as Indian banks print them, 05-04-26 and 31-03-26 (day, month, year), is read as CSV
#   by the three, each asked or left to find the dates by itself.
# Expected: 5 April 2026 and 31 March 2026, since the second line settles which part is the day; or else an error.
# Seen: three readings, none right, none an error. DuckDB takes the day for the year: 26 April 2005 and 26 March 2031,
#   and always will, since every day is a year and the year 26 is a day. Polars reads the year 26 of the first century.
#   pandas decides line by line: 4 May in the first, 31 March in the second. With four-digit years DuckDB and Polars
#   are right and pandas leaves text. Name the format, always.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

packages duckdb==2.0.1 polars==2.1.0 pandas==3.1.1

cat >"$work/read.py" <<'PYTHON'
import sys
import warnings

import duckdb
import pandas
import polars

warnings.simplefilter("ignore")
for name in sys.argv[1:]:
    rows = duckdb.read_csv(name).order("line").fetchall()
    print("duckdb", *(day for _, day in rows))
    print("polars", *polars.read_csv(name, try_parse_dates=True)["day"])
    print("pandas", *(str(day)[:10] for day in pandas.read_csv(name, parse_dates=["day"])["day"]))
PYTHON
printf '%s\n' line,day 1,05-04-26 2,31-03-26 >"$work/short.csv"
printf '%s\n' line,day 1,05-04-2026 2,31-03-2026 >"$work/long.csv"
answers=$(python "$work/read.py" "$work/short.csv" "$work/long.csv")
[ "$answers" = "duckdb 2005-04-26 2031-03-26
polars 0026-04-05 0026-03-31
pandas 2026-05-04 2026-03-31
duckdb 2026-04-05 2026-03-31
polars 2026-04-05 2026-03-31
pandas 05-04-2026 31-03-2026" ] || fail "dates: $answers"

echo "expected: 05-04-26 and 31-03-26 are 5 April and 31 March 2026"
echo "seen: DuckDB has 2005-04-26 and 2031-03-26, Polars the year 26, pandas 4 May and 31 March of 2026"
