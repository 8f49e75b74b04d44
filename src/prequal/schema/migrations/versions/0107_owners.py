"""An application, and the record that it was written, belong to the client that posted it.

Claims of PANs and idempotency keys need no column: a client is a part of what they are hashes of, so that code from
before this step goes on beside code from after it. What is there belongs to `local`, whose hashes stay as they were.
"""

from alembic import op

revision = "0107"
down_revision = "0106"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add both columns; neither rewrites its table."""
    op.execute("""ALTER TABLE applications ADD COLUMN client text COLLATE "C" NOT NULL DEFAULT 'local'""")
    op.execute("ALTER TABLE audit_log ADD COLUMN client text")


def downgrade() -> None:
    """Forget whose each application is."""
    op.execute("ALTER TABLE audit_log DROP COLUMN client")
    op.execute("ALTER TABLE applications DROP COLUMN client")
