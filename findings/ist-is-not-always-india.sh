#!/usr/bin/env bash
# python-dateutil 4.0.0, dateparser 1.5.0, pendulum 3.3.0, duckdb 2.0.1 (PyPI) and the standard library's email.utils
#
# Done: the first quarter of an hour of the financial year, "2026-04-01 00:15 IST", as Indian mails, statements and logs
#   write it, is read by five parsers; TZ is UTC.
# Expected: IST is India's time, so 2026-03-31 18:45 UTC, or an error.
# Seen: only DuckDB reads India's time. dateparser reads Israel's, 22:15 UTC. dateutil warns, email.utils does not, and
#   both leave a time without a zone; pendulum, which falls back to dateutil, takes the hours for UTC. So the same line
#   is 3:30 or 5:30 late. Write +05:30.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

packages python-dateutil==4.0.0 dateparser==1.5.0 pendulum==3.3.0 duckdb==2.0.1

cat >"$work/read.py" <<'PYTHON'
import email.utils
import warnings
from datetime import UTC, datetime

import dateparser
import dateutil.parser
import duckdb
import pendulum

TEXT = "2026-04-01 00:15 IST"


def shown(time):
    return f"{time.astimezone(UTC):%m-%d %H:%M}" if time.tzinfo else "no zone"


with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    print("dateutil", shown(dateutil.parser.parse(TEXT)), len(caught), "warning")
print("email", shown(email.utils.parsedate_to_datetime("Wed, 01 Apr 2026 00:15:00 IST")))
warnings.simplefilter("ignore")
print("dateparser", shown(dateparser.parse(TEXT)))
print("pendulum", shown(pendulum.parse(TEXT, strict=False)))
epoch = duckdb.sql(f"SELECT epoch(TIMESTAMPTZ '{TEXT}')").fetchall()[0][0]
print("duckdb", shown(datetime.fromtimestamp(epoch, UTC)))
PYTHON
answers=$(TZ=UTC python "$work/read.py")
[ "$answers" = "dateutil no zone 1 warning
email no zone
dateparser 03-31 22:15
pendulum 04-01 00:15
duckdb 03-31 18:45" ] || fail "times in UTC: $answers"

echo "expected: 2026-04-01 00:15 IST is 2026-03-31 18:45 UTC"
echo "seen: dateparser 22:15 UTC (Israel), pendulum 00:15 UTC, dateutil and email.utils no zone, DuckDB 18:45"
