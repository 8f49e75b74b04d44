"""The tables of the first release: applications and their record, outbox and inbox, claims, keys and dead letters.

Every later change is a step of its own behind this one.
"""

from alembic import op

revision = "0100"
down_revision = None
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
    """Make all of them, the referenced before the referring."""
    _applications()
    _audit_log()
    _outbox_events()
    _outbox_archive()
    _outbox_parked()
    _publisher_leases()
    _inbox()
    _claims()
    _key_checks()
    _republications()
    _resolved_dead_letters()


def downgrade() -> None:
    """Drop all of them, with everything in them."""
    op.execute("DROP TABLE resolved_dead_letters, republications, key_checks, idempotency_keys, pan_claims")
    op.execute("DROP TABLE processed_messages, publisher_leases, outbox_parked, outbox_archive, outbox_events")
    op.execute("DROP TABLE audit_log")
    op.execute("DROP FUNCTION audit_log_is_append_only()")
    op.execute("DROP TABLE applications")


def _applications() -> None:
    op.execute("""
        CREATE TABLE applications (
            id                   uuid PRIMARY KEY,
            pan_number_encrypted bytea NOT NULL CHECK (octet_length(pan_number_encrypted) BETWEEN 40 AND 100),
            -- not '^[0-9a-f]{64}$': a counted quantifier costs some 5 µs a row, at each UPDATE too, this a tenth
            pan_number_hash      text COLLATE "C" NOT NULL
                                 CHECK (octet_length(pan_number_hash) = 64 AND pan_number_hash !~ '[^0-9a-f]'),
            pan_number_masked    text NOT NULL CHECK (pan_number_masked ~ '^XXXXX[0-9]{4}[A-Z]$'),
            applicant_name       text CHECK (char_length(applicant_name) BETWEEN 1 AND 255),
            -- NaN is greater than every number, so that "> 0" alone would let it in
            monthly_income_inr   numeric(12, 2) NOT NULL CHECK (monthly_income_inr > 0 AND monthly_income_inr <> 'NaN'),
            loan_amount_inr      numeric(12, 2) NOT NULL CHECK (loan_amount_inr > 0 AND loan_amount_inr <> 'NaN'),
            loan_type            text NOT NULL CHECK (loan_type IN ('PERSONAL', 'HOME', 'AUTO')),
            status               text NOT NULL DEFAULT 'PENDING'
                                 CHECK (status IN ('PENDING', 'PRE_APPROVED', 'REJECTED', 'MANUAL_REVIEW')),
            cibil_score          integer CHECK (cibil_score BETWEEN 300 AND 900),
            decision_rule        text,
            decision_measures    jsonb,
            policy_version       text,
            version              integer NOT NULL DEFAULT 1 CHECK (version > 0),
            created_at           timestamptz NOT NULL DEFAULT now(),
            updated_at           timestamptz NOT NULL DEFAULT now() CHECK (updated_at >= created_at),
            -- a decision is there whole or not at all
            CONSTRAINT decided_whole CHECK (
                num_nulls(cibil_score, decision_rule, decision_measures, policy_version)
                = CASE status WHEN 'PENDING' THEN 4 ELSE 0 END
            )
        ) WITH (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0)
    """)
    # The undecided are few and looked for by age: what finds them must not grow with the table.
    op.execute("CREATE INDEX applications_undecided ON applications (created_at) WHERE status = 'PENDING'")


def _audit_log() -> None:
    op.execute("""
        CREATE TABLE audit_log (
            id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            application_id uuid NOT NULL,
            service        text NOT NULL CHECK (service <> ''),
            action         text NOT NULL CHECK (action IN ('WRITE', 'READ', 'UPDATE')),
            occurred_at    timestamptz NOT NULL DEFAULT now(),
            request_id     text
        )
    """)
    op.execute("CREATE INDEX audit_log_application ON audit_log (application_id)")
    op.execute("""
        CREATE FUNCTION audit_log_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'audit_log is append-only: % is refused', TG_OP USING ERRCODE = 'insufficient_privilege';
        END $$
    """)
    op.execute("""
        CREATE TRIGGER audit_log_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log
        FOR EACH STATEMENT EXECUTE FUNCTION audit_log_is_append_only()
    """)
    # Fires in a session with session_replication_role = replica, too; not for changes that logical replication applies.
    op.execute("ALTER TABLE audit_log ENABLE ALWAYS TRIGGER audit_log_is_append_only")


def _outbox_events() -> None:
    op.execute(f"""
        CREATE TABLE outbox_events (
            id             bigint GENERATED ALWAYS AS IDENTITY,
            topic          text COLLATE "C" NOT NULL,
            attempts       integer NOT NULL DEFAULT 0,
            {EVENT_COLUMNS},
            -- the archive has such an event already: without the mark it would be archived once more each time
            republished    boolean NOT NULL DEFAULT false,
            -- in the order in which a topic's rows are read
            PRIMARY KEY (topic, id)
        ) WITH (
            autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0,
            autovacuum_vacuum_insert_threshold = -1, autovacuum_analyze_threshold = 1000000000
        )
    """)


def _outbox_archive() -> None:
    op.execute(f"""
        CREATE TABLE outbox_archive (
            id             bigint NOT NULL,
            topic          text NOT NULL,
            {EVENT_COLUMNS},
            published_at   timestamptz NOT NULL DEFAULT now()
        ) PARTITION BY RANGE (published_at)
    """)
    op.execute("CREATE INDEX outbox_archive_application ON outbox_archive (application_id)")
    # `prequal trace` finds an application by the request that submitted it: one entry an application.
    # It costs 52 bytes of WAL and 1.4 µs a row of the archive, and 60 bytes on the disk an application.
    op.execute("""
        CREATE INDEX outbox_archive_request ON outbox_archive (correlation_id)
        WHERE event_type = 'ApplicationSubmitted'
    """)


def _outbox_parked() -> None:
    op.execute(f"""
        CREATE TABLE outbox_parked (
            id             bigint PRIMARY KEY,
            topic          text NOT NULL,
            attempts       integer NOT NULL CHECK (attempts > 0),
            {EVENT_COLUMNS},
            republished    boolean NOT NULL DEFAULT false,
            reason         text NOT NULL,
            parked_at      timestamptz NOT NULL DEFAULT now(),
            next_try_at    timestamptz NOT NULL
        )
    """)
    op.execute("CREATE INDEX outbox_parked_due ON outbox_parked (next_try_at)")


def _publisher_leases() -> None:
    op.execute("""
        CREATE TABLE publisher_leases (
            -- a topic, or the republisher
            name       text PRIMARY KEY,
            owner      uuid NOT NULL,
            epoch      bigint NOT NULL CHECK (epoch > 0),
            expires_at timestamptz NOT NULL
        ) WITH (fillfactor = 50)
    """)


def _inbox() -> None:
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


def _claims() -> None:
    """One accepted application a PAN in 24 hours, and one answer an idempotency key."""
    op.execute("""
        CREATE TABLE pan_claims (
            pan_number_hash text COLLATE "C" PRIMARY KEY
                            CHECK (octet_length(pan_number_hash) = 64 AND pan_number_hash !~ '[^0-9a-f]'),
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


def _key_checks() -> None:
    """Check values of the keys, so that a valid but wrong key is noticed at the start."""
    op.execute("""
        CREATE TABLE key_checks (
            purpose     text NOT NULL CHECK (purpose IN ('ENCRYPTION_KEY', 'PAN_HASH_KEY')),
            key_id      bytea NOT NULL,
            check_value bytea NOT NULL,
            created_at  timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (purpose, key_id)
        )
    """)


def _republications() -> None:
    op.execute("""
        CREATE TABLE republications (
            -- one row an application, so that two republishers cannot count past each other
            application_id uuid PRIMARY KEY,
            times          integer NOT NULL CHECK (times > 0),
            -- never due before the last one: that would be a storm
            next_at        timestamptz NOT NULL CHECK (next_at >= last_at),
            last_at        timestamptz NOT NULL DEFAULT now()
        )
    """)
    op.execute("CREATE INDEX republications_due ON republications (next_at)")


def _resolved_dead_letters() -> None:
    op.execute("""
        CREATE TABLE resolved_dead_letters (
            -- one row an act, the newest last: a dead letter that was discarded and then replayed keeps both
            id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            topic       text COLLATE "C" NOT NULL,
            partition   integer NOT NULL CHECK (partition >= 0),
            "offset"    bigint NOT NULL CHECK ("offset" >= 0),
            -- when the dead letter was written: a topic that is recreated counts its offsets from 0 again, and its
            -- dead letters must not pass for resolved ones
            written_at  timestamptz NOT NULL,
            action      text NOT NULL CHECK (action IN ('replayed', 'discarded', 'skipped')),
            event_id    text CHECK (event_id <> ''),
            error_kind  text NOT NULL CHECK (error_kind <> ''),
            reason      text CHECK (char_length(reason) <= 500),
            resolved_by text NOT NULL CHECK (resolved_by <> ''),
            resolved_at timestamptz NOT NULL DEFAULT now(),
            -- no dead letter is discarded, and no message skipped, without a reason
            CONSTRAINT discarded_for_a_reason CHECK (action = 'replayed' OR coalesce(reason, '') ~ '[^[:space:]]')
        )
    """)
    op.execute('CREATE INDEX resolved_dead_letters_place ON resolved_dead_letters (topic, partition, "offset", id)')
