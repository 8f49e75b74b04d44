#!/usr/bin/env bash
# pyxirr 0.10.8 (PyPI)
#
# Done: the RBI's own example of a key facts statement, 20,000 rupees in 24 instalments at 15 % with 400 rupees of fees,
#   as monthly cash flows: once periodic, once with dates, from three first days and by three day counts.
# Expected: XIRR, the spreadsheets' function for a yearly rate, gives the 17.07 % that the statement has to show.
# Seen: only twelve times the periodic monthly rate is 17.07. XIRR compounds: 18.14 to 18.52, another rate for each
#   first day and day count, about the monthly rate compounded, 18.47.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

packages pyxirr==0.10.8

cat >"$work/rates.py" <<'PYTHON'
from datetime import date

import pyxirr

INSTALMENT = 969.73
flows = [-(20_000 - 400)] + [INSTALMENT] * 24
monthly = pyxirr.irr(flows)
print(f"{12 * monthly:.2%} {(1 + monthly) ** 12 - 1:.2%}")


def months_from(first):
    months = range(first.month - 1, first.month + 24)
    return [date(first.year + month // 12, month % 12 + 1, first.day) for month in months]


for first in date(2026, 1, 1), date(2026, 3, 15), date(2026, 6, 15):
    dates = months_from(first)
    rates = (pyxirr.xirr(dates, flows, day_count=count) for count in ("act/365f", "30/360 isda", "act/360"))
    print(first, *(f"{rate:.2%}" for rate in rates))
PYTHON
answers=$(python "$work/rates.py")
[ "$answers" = "17.07% 18.47%
2026-01-01 18.52% 18.47% 18.24%
2026-03-15 18.41% 18.47% 18.14%
2026-06-15 18.45% 18.47% 18.17%" ] || fail "12 times monthly, compounded; first day and XIRR by day count: $answers"

echo "expected: XIRR of the RBI's example is its APR, 17.07 %"
echo "seen: 12 times the monthly rate is 17.07 %; XIRR is 18.14 to 18.52 %, by first day and day count"
