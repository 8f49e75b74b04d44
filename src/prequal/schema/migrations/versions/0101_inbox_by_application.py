"""The inbox is keyed by application, in the order in which applications arrive, and no longer by the event's random id.

After a checkpoint the first touch of a page is written to the WAL whole. A random key touches another page for each
message, an ordered one the last page for many: 2.2 whole pages a decision became 0.9.
"""

from alembic import op

revision = "0101"
down_revision = "0100"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Key by application; rows whose event the archive no longer has go: their applications are decided long ago."""
    op.execute("ALTER TABLE processed_messages ADD COLUMN application_id uuid")
    op.execute("""
        UPDATE processed_messages AS processed SET application_id = archived.application_id
        FROM outbox_archive AS archived WHERE archived.event_id = processed.event_id
    """)
    op.execute("""
        UPDATE processed_messages AS processed SET application_id = waiting.application_id
        FROM (
            SELECT event_id, application_id FROM outbox_events
            UNION ALL SELECT event_id, application_id FROM outbox_parked
        ) AS waiting
        WHERE waiting.event_id = processed.event_id AND processed.application_id IS NULL
    """)
    op.execute("DELETE FROM processed_messages WHERE application_id IS NULL")
    op.execute("""
        ALTER TABLE processed_messages
        ALTER COLUMN application_id SET NOT NULL,
        DROP CONSTRAINT processed_messages_pkey,
        ADD PRIMARY KEY (consumer, application_id)
    """)


def downgrade() -> None:
    """Key by event again."""
    op.execute("""
        ALTER TABLE processed_messages
        DROP CONSTRAINT processed_messages_pkey,
        DROP COLUMN application_id,
        ADD PRIMARY KEY (consumer, event_id)
    """)
