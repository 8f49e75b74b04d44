"""The archive says which process published an event: its writer, or the publisher where the writer left it.

A timeline named the publisher of every event, also of those that the API and credit-service had published themselves.
"""

from alembic import op

revision = "0129"
down_revision = "0128"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column, empty; of what is there, and of what code of before archives, nobody knows it."""
    op.execute("ALTER TABLE outbox_archive ADD COLUMN published_by text CHECK (published_by <> '')")


def downgrade() -> None:
    """Forget who published."""
    op.execute("ALTER TABLE outbox_archive DROP COLUMN published_by")
