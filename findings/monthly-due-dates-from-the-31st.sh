#!/usr/bin/env bash
# python-dateutil 4.0.0, pandas 3.1.1, polars 2.1.0, duckdb 2.0.1 (PyPI)
#
# Done: 24 monthly instalments whose first is due on 31 January 2026, by each library's monthly series.
# Expected: the last day of short months, the 31st of long ones and the last instalment on 31 December 2027.
# Seen: only Polars does that. dateutil's rrule, true to RFC 5545, leaves every month out that has no 31st, so that the
#   24th instalment is due on 31 May 2029. pandas (DateOffset) and DuckDB (generate_series) add each month to the date
#   before it: one February, and all that follow are due on the 28th. Count months from the first date instead.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

packages python-dateutil==4.0.0 pandas==3.1.1 polars==2.1.0 duckdb==2.0.1

cat >"$work/dates.py" <<'PYTHON'
from datetime import date, datetime

import duckdb
import pandas
import polars
from dateutil.rrule import MONTHLY, rrule

first = datetime(2026, 1, 31)
series = duckdb.sql("FROM generate_series(TIMESTAMP '2026-01-31', TIMESTAMP '2027-12-31', INTERVAL 1 MONTH) ORDER BY 1")
ways = {
    "rrule": rrule(MONTHLY, dtstart=first, count=24),
    "pandas": pandas.date_range(first, periods=24, freq=pandas.DateOffset(months=1)),
    "duckdb": [row[0] for row in series.fetchall()],
    "polars": polars.date_range(first.date(), date(2027, 12, 31), "1mo", eager=True),
}
for way, dates in ways.items():
    dates = [str(day)[:10] for day in dates]
    print(way, len(dates), dates[1], dates[2], dates[-1])
PYTHON
answers=$(python "$work/dates.py")
[ "$answers" = "rrule 24 2026-03-31 2026-05-31 2029-05-31
pandas 24 2026-02-28 2026-03-28 2027-12-28
duckdb 24 2026-02-28 2026-03-28 2027-12-28
polars 24 2026-02-28 2026-03-31 2027-12-31" ] || fail "way, instalments, second, third, last: $answers"

echo "expected: 24 monthly due dates from 31 January 2026 end on 31 December 2027"
echo "seen: rrule ends on 31 May 2029, pandas and DuckDB on 28 December 2027, Polars on 31 December 2027"
