"""A client has a number of requests a second that each API process takes of it.

One client that sends more than was agreed would otherwise take the room of all the others.
"""

from alembic import op

revision = "0110"
down_revision = "0109"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Give each client the default; the table is not rewritten."""
    op.execute("""
        ALTER TABLE api_clients ADD COLUMN requests_per_second integer NOT NULL DEFAULT 5000
            CHECK (requests_per_second BETWEEN 1 AND 1000000)
    """)


def downgrade() -> None:
    """Forget them."""
    op.execute("ALTER TABLE api_clients DROP COLUMN requests_per_second")
