"""The application and the record of who saw its PAN: what the lender's promise rests on."""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make `applications` and the append-only `audit_log`."""
    op.execute("""
        CREATE TABLE applications (
            id                   uuid PRIMARY KEY,
            pan_number_encrypted bytea NOT NULL CHECK (octet_length(pan_number_encrypted) BETWEEN 40 AND 100),
            pan_number_hash      text COLLATE "C" NOT NULL CHECK (pan_number_hash ~ '^[0-9a-f]{64}$'),
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
    # Fires even while a session replays changes as a replica would.
    op.execute("ALTER TABLE audit_log ENABLE ALWAYS TRIGGER audit_log_is_append_only")


def downgrade() -> None:
    """Drop both, with everything in them."""
    op.execute("DROP TABLE audit_log")
    op.execute("DROP FUNCTION audit_log_is_append_only()")
    op.execute("DROP TABLE applications")
