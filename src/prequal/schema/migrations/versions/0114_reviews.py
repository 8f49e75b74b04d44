"""Cases that people decide, with their notes and votes.

What moves while people work stands in a narrow table of its own, so that `applications` gets no further index. A
person's decision moves the status for the second and last time, so that its row has version 3, and may be one without a
score. Notes and votes are only added.
"""

from alembic import op

revision = "0114"
down_revision = "0113"
branch_labels = None
depends_on = None

_DECIDED_WHOLE = """
    ALTER TABLE applications
    DROP CONSTRAINT decided_whole,
    -- a decision is there whole or not at all; only one that people take or took may lack a score
    ADD CONSTRAINT decided_whole CHECK (
        CASE status
            WHEN 'PENDING' THEN num_nonnulls(
                cibil_score, decision_rule, decision_measures, policy_version, policy_hash
            ) = 0
            ELSE num_nulls(decision_rule, decision_measures, policy_version) = 0
                 AND (cibil_score IS NOT NULL OR status = 'MANUAL_REVIEW'{people})
        END
    ) NOT VALID
"""


def upgrade() -> None:
    """Make the tables, empty, and widen the check; 0115 fills them and looks at the rows."""
    op.execute("""
        CREATE TABLE review_cases (
            application_id  uuid PRIMARY KEY,
            opened_at       timestamptz NOT NULL DEFAULT now(),
            target_at       timestamptz NOT NULL,
            loan_amount_inr numeric(12, 2) NOT NULL,
            people_needed   smallint NOT NULL CHECK (people_needed IN (1, 2)),
            state           text NOT NULL DEFAULT 'OPEN' CHECK (state IN ('OPEN', 'SECOND_PERSON', 'DECIDED')),
            claimed_by      text,
            lease_until     timestamptz,
            version         integer NOT NULL DEFAULT 1 CHECK (version > 0),
            outcome         text CHECK (outcome IN ('PRE_APPROVED', 'REJECTED')),
            reason          text,
            decided_at      timestamptz,
            CHECK ((claimed_by IS NULL) = (lease_until IS NULL)),
            -- decided whole or not at all, and then nobody has it
            CHECK (num_nonnulls(outcome, reason, decided_at) = CASE state WHEN 'DECIDED' THEN 3 ELSE 0 END),
            CHECK (state <> 'DECIDED' OR claimed_by IS NULL)
        )
    """)
    for order in ("target_at", "loan_amount_inr"):
        op.execute(f"CREATE INDEX review_cases_{order} ON review_cases ({order}, application_id) WHERE outcome IS NULL")
    _make_notes_and_votes()
    op.execute(_DECIDED_WHOLE.format(people=" OR version > 2"))


def _make_notes_and_votes() -> None:
    op.execute("""
        CREATE TABLE review_notes (
            id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            application_id uuid NOT NULL REFERENCES review_cases,
            written_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
            writer_kind    text NOT NULL CHECK (writer_kind IN ('person', 'operator')),
            writer         text NOT NULL CHECK (char_length(writer) BETWEEN 1 AND 100),
            note           text NOT NULL CHECK (char_length(note) BETWEEN 1 AND 2000)
        )
    """)
    op.execute("CREATE INDEX review_notes_application ON review_notes (application_id, id)")
    op.execute("""
        CREATE TABLE review_votes (
            application_id uuid NOT NULL REFERENCES review_cases,
            -- two votes are of two people, however each is known
            voter          text NOT NULL CHECK (char_length(voter) BETWEEN 1 AND 100),
            voter_kind     text NOT NULL CHECK (voter_kind IN ('person', 'operator')),
            voted_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
            outcome        text NOT NULL CHECK (outcome IN ('PRE_APPROVED', 'REJECTED')),
            reason         text NOT NULL,
            PRIMARY KEY (application_id, voter)
        )
    """)
    op.execute("""
        CREATE FUNCTION review_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION '% is append-only: % is refused', TG_TABLE_NAME, TG_OP
                USING ERRCODE = 'insufficient_privilege';
        END $$
    """)
    for table in ("review_notes", "review_votes"):
        op.execute(f"""
            CREATE TRIGGER {table}_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}
            FOR EACH STATEMENT EXECUTE FUNCTION review_is_append_only()
        """)
        op.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_is_append_only")


def downgrade() -> None:
    """Forget the cases; people's decisions stay as statuses, and no further one can be written."""
    op.execute(_DECIDED_WHOLE.format(people=""))
    op.execute("DROP TABLE review_votes")
    op.execute("DROP TABLE review_notes")
    op.execute("DROP TABLE review_cases")
    op.execute("DROP FUNCTION review_is_append_only()")
