"""The inbox: which event each consumer has already taken effect of."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make `processed_messages`."""
    op.execute("""
        CREATE TABLE processed_messages (
            consumer     text COLLATE "C" NOT NULL,
            event_id     uuid NOT NULL,
            -- of the event's fields without its times: the same id with another digest is a forgery or a bug
            digest       bytea NOT NULL,
            processed_at timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (consumer, event_id)
        ) WITH (autovacuum_vacuum_insert_threshold = -1)
    """)
    # Rows are written in the order of time: a few pages of summary find the old ones.
    op.execute("CREATE INDEX processed_messages_age ON processed_messages USING brin (processed_at)")


def downgrade() -> None:
    """Drop it; redelivered events are then stopped by the status alone."""
    op.execute("DROP TABLE processed_messages")
