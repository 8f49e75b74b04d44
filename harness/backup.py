"""A real pg_dump that takes as long as a test wants, and a trial step of the schema to be migrated beside it.

Invariant: the dump holds a lock on every table from its start until it is read to the end.
"""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.database import Database
from harness.waiting import eventually
from prequal.local.postgres import binary
from prequal.schema import migrate
from prequal.schema.version import REVISION

BULK = "CREATE TABLE IF NOT EXISTS bulk AS SELECT sha256(n::text::bytea) FROM generate_series(1, 20000) AS n"
"""A table that does not fit into a pipe."""
DUMPS = "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE application_name = 'pg_dump'"
MANY_LOCKS = 20

TRIAL = f'''"""A trial: a column, an index on a table that posts write, and a partition."""

from alembic import op

revision = "trial"
down_revision = "{REVISION}"


def upgrade() -> None:
    op.execute("ALTER TABLE applications ADD COLUMN IF NOT EXISTS trial integer")
    with op.get_context().autocommit_block():
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS trial_index")
        op.execute("CREATE INDEX CONCURRENTLY trial_index ON applications (updated_at)")
    op.execute("CREATE TABLE trial_partition (LIKE outbox_archive INCLUDING CONSTRAINTS)")
    op.execute(
        "ALTER TABLE outbox_archive ATTACH PARTITION trial_partition FOR VALUES FROM ('2019-01-01') TO ('2019-01-02')"
    )


def downgrade() -> None:
    op.execute("ALTER TABLE applications DROP COLUMN IF EXISTS trial")
    with op.get_context().autocommit_block():
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS trial_index")
    op.execute("ALTER TABLE outbox_archive DETACH PARTITION trial_partition")
    op.execute("DROP TABLE trial_partition")
'''
"""The strongest lock comes first, both ways: it is what the dump holds up."""


class Dump:
    """A backup that has begun, and goes on until it is finished."""

    def __init__(self, database: Database) -> None:
        database.execute(BULK)
        self._process = subprocess.Popen(
            [binary("pg_dump"), "-d", database.url], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        eventually(lambda: database.value(DUMPS) > MANY_LOCKS)

    def finish(self) -> int:
        """Read it to its end; its exit code."""
        if self._process.returncode is None:
            self._process.communicate()
        return self._process.returncode


@contextmanager
def trial_step(folder: Path) -> Iterator[None]:
    """One step more than the product has, for as long as the block, from a copy of its steps in `folder`."""
    own = migrate.MIGRATIONS
    shutil.copytree(own, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "versions" / "trial.py").write_text(TRIAL)
    migrate.MIGRATIONS = folder
    try:
        yield
    finally:
        migrate.MIGRATIONS = own
