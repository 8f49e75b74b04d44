"""Check values of the keys, so that a valid but wrong key is noticed at start."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make `key_checks`."""
    op.execute("""
        CREATE TABLE key_checks (
            purpose     text NOT NULL CHECK (purpose IN ('ENCRYPTION_KEY', 'PAN_HASH_KEY')),
            key_id      bytea NOT NULL,
            check_value bytea NOT NULL,
            created_at  timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (purpose, key_id)
        )
    """)


def downgrade() -> None:
    """Drop it; the next start takes its keys on trust."""
    op.execute("DROP TABLE key_checks")
