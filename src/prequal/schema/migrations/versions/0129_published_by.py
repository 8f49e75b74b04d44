"""The archive says which process published an event: its writer, or the publisher where the writer left it.

A timeline named the publisher of every event, also of those that the API and credit-service had published themselves.
"""

from alembic import op

revision = "0129"
down_revision = "0128"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column, empty; of what is there, and of what code of before archives, nobody knows it.

    The check reads the whole archive, apart from the rest and under a lock that lets reads and writes go on. Of a step
    that was given up the column is there.
    """
    op.execute("""
        ALTER TABLE outbox_archive
        DROP CONSTRAINT IF EXISTS outbox_archive_published_by_check,
        ADD COLUMN IF NOT EXISTS published_by text,
        ADD CONSTRAINT outbox_archive_published_by_check CHECK (published_by <> '') NOT VALID
    """)
    with op.get_context().autocommit_block():
        op.execute("ALTER TABLE outbox_archive VALIDATE CONSTRAINT outbox_archive_published_by_check")


def downgrade() -> None:
    """Forget who published."""
    op.execute("ALTER TABLE outbox_archive DROP COLUMN published_by")
