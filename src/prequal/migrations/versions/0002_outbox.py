"""What is still to be told, what was told, and who tells it."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# The names that Debezium's outbox event router reads are mapped by its configuration, so these stay our own.
EVENT_COLUMNS = """
            event_id       uuid NOT NULL,
            event_type     text NOT NULL,
            application_id uuid NOT NULL,
            payload        text NOT NULL,
            correlation_id text,
            traceparent    text,
            created_at     timestamptz NOT NULL DEFAULT now()
"""


def upgrade() -> None:
    """Make the outbox, its archive by day, the parked rows and the publishers' leases."""
    op.execute(f"""
        CREATE TABLE outbox_events (
            id             bigint GENERATED ALWAYS AS IDENTITY,
            topic          text COLLATE "C" NOT NULL,
            attempts       integer NOT NULL DEFAULT 0,
            {EVENT_COLUMNS},
            -- in the order in which a lane is read
            PRIMARY KEY (topic, id)
        ) WITH (
            autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0,
            autovacuum_vacuum_insert_threshold = -1, autovacuum_analyze_threshold = 1000000000
        )
    """)
    op.execute(f"""
        CREATE TABLE outbox_archive (
            id             bigint NOT NULL,
            topic          text NOT NULL,
            {EVENT_COLUMNS},
            told_at        timestamptz NOT NULL DEFAULT now()
        ) PARTITION BY RANGE (told_at)
    """)
    op.execute("CREATE INDEX outbox_archive_application ON outbox_archive (application_id)")
    op.execute(f"""
        CREATE TABLE outbox_parked (
            id             bigint PRIMARY KEY,
            topic          text NOT NULL,
            attempts       integer NOT NULL CHECK (attempts > 0),
            {EVENT_COLUMNS},
            reason         text NOT NULL,
            parked_at      timestamptz NOT NULL DEFAULT now(),
            next_try_at    timestamptz NOT NULL
        )
    """)
    op.execute("CREATE INDEX outbox_parked_due ON outbox_parked (next_try_at)")
    op.execute("""
        CREATE TABLE publisher_leases (
            lane       text PRIMARY KEY,
            owner      uuid NOT NULL,
            epoch      bigint NOT NULL CHECK (epoch > 0),
            expires_at timestamptz NOT NULL
        ) WITH (fillfactor = 50)
    """)


def downgrade() -> None:
    """Drop them; events that were not told are lost."""
    op.execute("DROP TABLE publisher_leases, outbox_parked, outbox_archive, outbox_events")
