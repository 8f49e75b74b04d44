"""The record of what people and operators changed.

The database gives the time, whatever an INSERT says, and refuses every change of a row; TRUNCATE has no rows, so that
it needs a trigger of its own.
"""

from alembic import op

revision = "0108"
down_revision = "0107"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table; what was done before it is not in it."""
    op.execute("""
        CREATE TABLE acts (
            id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            occurred_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
            actor_kind   text NOT NULL CHECK (actor_kind IN ('person', 'operator', 'client', 'process')),
            actor        text NOT NULL CHECK (char_length(actor) BETWEEN 1 AND 100),
            action       text NOT NULL CHECK (char_length(action) BETWEEN 1 AND 60),
            subject_kind text NOT NULL CHECK (char_length(subject_kind) BETWEEN 1 AND 40),
            subject      text NOT NULL CHECK (char_length(subject) BETWEEN 1 AND 200),
            details      jsonb NOT NULL CHECK (jsonb_typeof(details) = 'object')
        )
    """)
    op.execute("CREATE INDEX acts_subject ON acts (subject_kind, subject, id)")
    op.execute("""
        CREATE FUNCTION acts_has_the_time_of_the_database() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            NEW.occurred_at := clock_timestamp();
            RETURN NEW;
        END $$
    """)
    op.execute("""
        CREATE FUNCTION acts_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'acts is append-only: % is refused', TG_OP USING ERRCODE = 'insufficient_privilege';
        END $$
    """)
    op.execute("""
        CREATE TRIGGER acts_has_the_time_of_the_database BEFORE INSERT ON acts
        FOR EACH ROW EXECUTE FUNCTION acts_has_the_time_of_the_database()
    """)
    op.execute("""
        CREATE TRIGGER acts_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON acts
        FOR EACH STATEMENT EXECUTE FUNCTION acts_is_append_only()
    """)
    for trigger in ("acts_has_the_time_of_the_database", "acts_is_append_only"):
        op.execute(f"ALTER TABLE acts ENABLE ALWAYS TRIGGER {trigger}")


def downgrade() -> None:
    """Forget what was done."""
    op.execute("DROP TABLE acts")
    op.execute("DROP FUNCTION acts_is_append_only()")
    op.execute("DROP FUNCTION acts_has_the_time_of_the_database()")
