#!/usr/bin/env bash
# holidays 0.108 (PyPI)
#
# Done: India's holidays of 2026 are taken once for the country and once for each state; then those of the last years of
#   a loan of fifteen years are counted.
# Expected: a state's calendar is the country's and some days more, and each year has its Diwali.
# Seen: Maharashtra has Holi on 3 March and not on the 4th, Odisha no Ram Navami: a working day there, a holiday in the
#   country's calendar. After 2035 ten holidays are left of nineteen: those that follow the moon, Holi and Diwali among
#   them, are gone, with a Python warning and no error. So the due dates of a loan begin to fall on holidays in its
#   tenth year. Ask for the state, and check the last year before the first.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

packages holidays==0.108

cat >"$work/days.py" <<'PYTHON'
import warnings

import holidays

country = holidays.country_holidays("IN", years=2026)
for state in sorted(holidays.country_holidays("IN").subdivisions):
    missing = set(country) - set(holidays.country_holidays("IN", subdiv=state, years=2026))
    for day in sorted(missing):
        print(state, day, country[day])
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    for year in 2035, 2036, 2041:
        days = holidays.country_holidays("IN", years=year)
        print(year, len(days), "Diwali" in days.values(), len(caught) > 0)
PYTHON
answers=$(python "$work/days.py")
[ "$answers" = "MH 2026-03-04 Holi
OD 2026-03-26 Ram Navami
2035 19 True False
2036 10 False True
2041 10 False True" ] || fail "missing in states; year, holidays, Diwali, warned: $answers"

echo "expected: a state has all holidays of the country, and each year its Diwali"
echo "seen: Maharashtra lacks the country's Holi of 2026, Odisha its Ram Navami; from 2036 on there is no Diwali"
