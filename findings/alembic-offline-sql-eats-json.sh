#!/usr/bin/env bash
# alembic 1.20.1, SQLAlchemy 2.1.9
#
# Done: a migration's op.execute writes a row of compact JSON, '{"strict":true,"limit":7}', and is rendered as
#   `alembic upgrade --sql` does.
# Expected: the SQL is the text that was given, or an error.
# Seen: text is SQLAlchemy's text(), where a colon before a word is a parameter. `:true` and `:7` become NULL, colon and
#   all, in silence, and the JSON is broken; `: true` with a space stays. `\:` keeps it.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

packages alembic==1.20.1 sqlalchemy==2.1.9

mkdir -p "$work/migrations/versions"
cd "$work"
cat >alembic.ini <<'INI'
[alembic]
script_location = %(here)s/migrations
path_separator = os
sqlalchemy.url = postgresql+psycopg://
INI
cat >migrations/env.py <<'PYTHON'
from alembic import context

context.configure(url=context.config.get_main_option("sqlalchemy.url"), literal_binds=True)
with context.begin_transaction():
    context.run_migrations()
PYTHON
cat >migrations/versions/0001.py <<'PYTHON'
from alembic import op

revision = "0001"
down_revision = None


def upgrade():
    op.execute("""INSERT INTO rules VALUES ('{"strict":true,"limit":7}')""")
    op.execute("""INSERT INTO rules VALUES ('{"strict": true}')""")
    op.execute(r"""INSERT INTO rules VALUES ('{"strict"\:true}')""")
PYTHON
python -m alembic upgrade head --sql >migration.sql 2>alembic.log || fail "alembic renders it" alembic.log
mapfile -t seen < <(sed -n "s/.*VALUES ('\({.*}\)').*/\1/p" migration.sql)
[ "${seen[*]}" = '{"strict"NULL,"limit"NULL} {"strict": true} {"strict":true}' ] || fail "${seen[*]}" migration.sql

echo 'expected: {"strict":true,"limit":7}'
echo "seen: ${seen[0]}"
