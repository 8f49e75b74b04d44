#!/usr/bin/env bash
# croniter 7.0.0, cronsim 2.8, APScheduler 3.11.3, celery 5.7.0 (PyPI)
#
# Done: three lines for a run at 9: "0 9 1-7 * 1" for the first Monday of a month, as one would write it, "0 9 * * 1"
#   for Mondays, "0 9 * * mon" for Mondays again. Each library names the days of October 2026, whose 1st is a Thursday.
# Expected: one notation, one answer: Monday, 5 October; the four Mondays; the same.
# Seen: croniter and cronsim fire on each of the first seven days and on each Monday, as cron does; celery on 5 October
#   alone; APScheduler on Tuesday, 6 October, for its week begins with Monday as 0. By name all four agree. So write
#   names, and never both a day and a weekday.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

packages croniter==7.0.0 cronsim==2.8 apscheduler==3.11.3 celery==5.7.0

cat >"$work/days.py" <<'PYTHON'
from datetime import UTC, datetime, timedelta
from itertools import takewhile

from apscheduler.triggers.cron import CronTrigger
from celery.schedules import crontab
from croniter import croniter
from cronsim import CronSim

BEGIN, END = datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)


def until_the_end(times):
    return takewhile(lambda time: time < END, times)


def by_croniter(text):
    return until_the_end(croniter(text, BEGIN, ret_type=datetime))


def by_cronsim(text):
    return until_the_end(CronSim(text, BEGIN))


def by_celery(text):
    """At each 9 o'clock it is asked, a minute after, whether it was to run since an hour before."""
    fields = dict(zip(("minute", "hour", "day_of_month", "month_of_year", "day_of_week"), text.split(), strict=True))
    for day in range(31):
        nine = BEGIN + timedelta(days=day, hours=9)
        schedule = crontab(**fields, nowfun=lambda nine=nine: nine + timedelta(minutes=1))
        if schedule.is_due(nine - timedelta(hours=1)).is_due:
            yield nine


def by_apscheduler(text):
    trigger, last, now = CronTrigger.from_crontab(text, timezone=UTC), None, BEGIN
    while (last := trigger.get_next_fire_time(last, now)) < END:
        yield last
        now = last + timedelta(seconds=1)


for schedule in by_croniter, by_cronsim, by_celery, by_apscheduler:
    for text in "0 9 1-7 * 1", "0 9 * * 1", "0 9 * * mon":
        print(schedule.__name__.removeprefix("by_"), f"{text}:", *(time.day for time in schedule(text)))
PYTHON
answers=$(python "$work/days.py")
cron="0 9 1-7 * 1: 1 2 3 4 5 6 7 12 19 26"
numbered="0 9 * * 1: 5 12 19 26"
named="0 9 * * mon: 5 12 19 26"
[ "$answers" = "croniter $cron
croniter $numbered
croniter $named
cronsim $cron
cronsim $numbered
cronsim $named
celery 0 9 1-7 * 1: 5
celery $numbered
celery $named
apscheduler 0 9 1-7 * 1: 6
apscheduler 0 9 * * 1: 6 13 20 27
apscheduler $named" ] || fail "days of October 2026: $answers"

echo "expected: 0 9 1-7 * 1 is the first Monday of a month, 5 October 2026"
echo "seen: that in celery; ten days in croniter and cronsim; Tuesday, 6 October, in APScheduler, where 1 is Tuesday"
