"""One accepted application a PAN in 24 hours, and one answer a key."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make `pan_claims` and `idempotency_keys`."""
    op.execute("""
        CREATE TABLE pan_claims (
            pan_number_hash text COLLATE "C" PRIMARY KEY CHECK (pan_number_hash ~ '^[0-9a-f]{64}$'),
            application_id  uuid NOT NULL,
            expires_at      timestamptz NOT NULL
        )
    """)
    op.execute("CREATE INDEX pan_claims_age ON pan_claims USING brin (expires_at)")
    op.execute("""
        CREATE TABLE idempotency_keys (
            key_hmac       bytea PRIMARY KEY CHECK (octet_length(key_hmac) = 32),
            request_hmac   bytea NOT NULL CHECK (octet_length(request_hmac) = 32),
            application_id uuid NOT NULL,
            -- the first answer's, so that it can be given again byte for byte
            request_id     text NOT NULL,
            expires_at     timestamptz NOT NULL
        )
    """)
    op.execute("CREATE INDEX idempotency_keys_age ON idempotency_keys USING brin (expires_at)")


def downgrade() -> None:
    """Drop both; the 24-hour rule and remembered answers start anew."""
    op.execute("DROP TABLE idempotency_keys, pan_claims")
