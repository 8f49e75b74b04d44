"""A decision becomes a heap-only update: no index names `status`, and a page has room for the row's next version.

The partial index of the undecided made each decision write into every index of the table. What is undecided is found
from a mark on, along the primary key; what the mark has passed undecided is listed. The publisher of before finds its
undecided by a scan until it is replaced, within its time limit on a table that is not large.
"""

from alembic import op

revision = "0124"
down_revision = "0123"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """List what is undecided now, and begin the mark here; rows that are there keep their pages.

    The list is written beside the services; the lock that bars them is held for the last minute's applications alone.
    """
    op.execute("CREATE TABLE undecided_below_mark (application_id uuid PRIMARY KEY)")
    op.execute("""
        INSERT INTO undecided_below_mark SELECT id FROM applications WHERE status = 'PENDING' ORDER BY created_at
    """)
    # What has written so far has ended when this lock is there: nothing undecided comes up below the mark. What had not
    # ended when the list was written began within the last minute (`SESSION`'s bounds).
    op.execute("LOCK TABLE applications IN ACCESS EXCLUSIVE MODE")
    op.execute("""
        INSERT INTO undecided_below_mark
        SELECT id FROM applications WHERE status = 'PENDING' AND created_at > now() - interval '1 minute'
        ON CONFLICT DO NOTHING
    """)
    op.execute("""
        CREATE TABLE undecided_mark (
            -- one row
            present boolean PRIMARY KEY DEFAULT true CHECK (present),
            passed  uuid NOT NULL
        ) WITH (fillfactor = 50)
    """)
    # The least UUIDv7 of 14 seconds ago.
    op.execute("""
        INSERT INTO undecided_mark (passed)
        SELECT (lpad(to_hex(floor(extract(epoch FROM now() - interval '14 seconds') * 1000)::bigint), 12, '0')
                || repeat('0', 20))::uuid
    """)
    op.execute("DROP INDEX applications_undecided")
    # A decision makes a row of 230 bytes one of 500: ten rows leave a page room for the ten that take their places.
    op.execute("ALTER TABLE applications SET (fillfactor = 30)")


def downgrade() -> None:
    """Find the undecided by a partial index again, built beside the services before anything else is taken back.

    Such a build is in no transaction. One that was given up leaves an index that is not valid, and begins again.
    """
    with op.get_context().autocommit_block():
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS applications_undecided")
        op.execute("""
            CREATE INDEX CONCURRENTLY applications_undecided ON applications (created_at) WHERE status = 'PENDING'
        """)
    op.execute("ALTER TABLE applications SET (fillfactor = 85)")
    op.execute("DROP TABLE undecided_mark, undecided_below_mark")
