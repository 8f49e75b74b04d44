"""Telling again: which outbox rows are retold ones, when each application is due, and what became of dead letters."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Mark retold rows; make `retellings` and `settled_dead_letters`."""
    # A retold event is in the archive already: without the mark, settling it would archive it once more each time.
    op.execute("ALTER TABLE outbox_events ADD COLUMN retold boolean NOT NULL DEFAULT false")
    op.execute("ALTER TABLE outbox_parked ADD COLUMN retold boolean NOT NULL DEFAULT false")
    op.execute("""
        CREATE TABLE retellings (
            -- one row an application, so that two reconcilers cannot count past each other
            application_id uuid PRIMARY KEY,
            times          integer NOT NULL CHECK (times > 0),
            -- never due before it was last told: that would be a storm
            next_at        timestamptz NOT NULL CHECK (next_at >= last_at),
            last_at        timestamptz NOT NULL DEFAULT now()
        )
    """)
    op.execute("CREATE INDEX retellings_due ON retellings (next_at)")
    op.execute("""
        CREATE TABLE settled_dead_letters (
            -- one row an act, the newest last: a letter that was discarded and then replayed keeps both
            id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            topic      text COLLATE "C" NOT NULL,
            partition  integer NOT NULL CHECK (partition >= 0),
            "offset"   bigint NOT NULL CHECK ("offset" >= 0),
            -- when the letter was written: a topic that is made anew counts its offsets from 0 again, and its
            -- letters must not pass for settled ones
            written_at timestamptz NOT NULL,
            action     text NOT NULL CHECK (action IN ('replayed', 'discarded')),
            event_id   text CHECK (event_id <> ''),
            error_kind text NOT NULL CHECK (error_kind <> ''),
            reason     text CHECK (char_length(reason) <= 500),
            settled_by text NOT NULL CHECK (settled_by <> ''),
            settled_at timestamptz NOT NULL DEFAULT now(),
            -- nobody throws a letter away without saying why
            CONSTRAINT discarded_for_a_reason CHECK (action = 'replayed' OR coalesce(reason, '') ~ '[^[:space:]]')
        )
    """)
    op.execute('CREATE INDEX settled_dead_letters_place ON settled_dead_letters (topic, partition, "offset", id)')


def downgrade() -> None:
    """Drop them: discards and their reasons are forgotten, and retold rows still waiting are archived once more."""
    op.execute("DROP TABLE settled_dead_letters, retellings")
    op.execute("ALTER TABLE outbox_parked DROP COLUMN retold")
    op.execute("ALTER TABLE outbox_events DROP COLUMN retold")
