"""How often each key encrypted, so that it is replaced before its random nonces are likely to repeat."""

from alembic import op

revision = "0106"
down_revision = "0105"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table; what was encrypted before it is not counted."""
    op.execute("""
        CREATE TABLE key_uses (
            key_id      bytea PRIMARY KEY CHECK (octet_length(key_id) = 8),
            encryptions bigint NOT NULL CHECK (encryptions >= 0),
            first_used  timestamptz NOT NULL DEFAULT now(),
            last_used   timestamptz NOT NULL DEFAULT now()
        )
    """)


def downgrade() -> None:
    """Forget the counts."""
    op.execute("DROP TABLE key_uses")
