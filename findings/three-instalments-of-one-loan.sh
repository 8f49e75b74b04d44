#!/usr/bin/env bash
# amortization 3.0.1, mortgagemath 0.7.1, pyloan 0.7.3 (PyPI)
#
# Done: the plan of one loan, 20,000 rupees in 24 monthly instalments at 15 %, with each library's defaults; in pyloan
#   once begun on 1 January and once on 31 January 2026.
# Expected: an instalment of 969.73 in each, since the formula is one, and a last one that is off by some paise.
# Seen: mortgagemath rounds up by default: 969.74. pyloan's instalment depends on the day: 970.73 from the 31st. From
#   the 1st it has 969.73, but moves the first due date to 31 January and counts 29 days for that month. The last
#   instalments are 969.78, 969.54, 958.71 and 943.00. Take over a plan with its dates and roundings, or not at all.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

packages amortization==3.0.1 mortgagemath==0.7.1 pyloan==0.7.3

cat >"$work/plans.py" <<'PYTHON'
from amortization.schedule import amortization_schedule
from mortgagemath import amortization_schedule as mortgage_schedule
from mortgagemath import fixed_rate_mortgage
from pyloan import Loan

rows = [row.amount for row in amortization_schedule(20_000, 0.15, 24)]
print("amortization", f"{rows[0]:.2f} {rows[-1]:.2f}")
rows = [row.payment for row in mortgage_schedule(fixed_rate_mortgage(20_000, "15", 2)) if row.payment]
print("mortgagemath", rows[0], rows[-1])
for start in "2026-01-01", "2026-01-31":
    loan = Loan(20_000, 15, 24, start, loan_term_period="M")
    rows = [row for row in loan.get_payment_schedule() if row.payment_amount]
    first, last = rows[0], rows[-1]
    print("pyloan", start, first.payment_amount, last.payment_amount, first.date.date(), first.interest_amount)
PYTHON
answers=$(python "$work/plans.py")
[ "$answers" = "amortization 969.73 969.78
mortgagemath 969.74 969.54
pyloan 2026-01-01 969.73 958.71 2026-01-31 241.67
pyloan 2026-01-31 970.73 943.00 2026-02-28 250.00" ] ||
    fail "first and last instalment; in pyloan also its date and interest: $answers"

echo "expected: 20,000 rupees in 24 months at 15 % are instalments of 969.73 in each library"
echo "seen: 969.73, 969.74 and, by the first day, 969.73 or 970.73; the last is 969.78, 969.54, 958.71 or 943.00"
