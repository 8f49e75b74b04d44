"""The list that the console searches: one narrow row for each decided application, filled beside the services.

An index on `applications` that names the status or the score would bar every decision from being a heap-only update,
and without one the console searched by walking the primary key. The console fills the list along the mark of the
undecided, and back from it for what is here already; code of before leaves it alone.
"""

from alembic import op

revision = "0128"
down_revision = "0127"
branch_labels = None
depends_on = None

CHANGES = {
    "undecided_below_mark": "AFTER DELETE ON undecided_below_mark",
    "review_cases": "AFTER UPDATE ON review_cases",
    "applications": "AFTER DELETE ON applications",
}
"""What makes the list's row of an application another: decided late, decided by people, deleted."""


def upgrade() -> None:
    """Make the list, empty; what fires for it does so in the transaction that changes an application."""
    op.execute("""
        CREATE TABLE application_list (
            id         uuid PRIMARY KEY,
            client     text COLLATE "C" NOT NULL,
            status     text COLLATE "C" NOT NULL CHECK (status IN ('PRE_APPROVED', 'REJECTED', 'MANUAL_REVIEW')),
            -- the lowest score of its band; 0 without a score
            score_band smallint NOT NULL CHECK (score_band IN (0, 300, 550, 600, 650, 700, 750, 800)),
            -- the end of the masked PAN
            pan_tail   text COLLATE "C" NOT NULL CHECK (octet_length(pan_tail) = 5)
        )
    """)
    op.execute("CREATE INDEX application_list_status ON application_list (status, score_band, id)")
    op.execute("CREATE INDEX application_list_client ON application_list (client, status, score_band, id)")
    op.execute("CREATE INDEX application_list_pan_tail ON application_list (pan_tail, id)")
    _keep_changes()
    # After the triggers, which wait for all that writes: what is deleted of the mark's list from here on is kept.
    op.execute("""
        CREATE TABLE application_list_range (
            -- one row
            present       boolean PRIMARY KEY DEFAULT true CHECK (present),
            lowest        uuid NOT NULL,
            below         uuid NOT NULL,
            CHECK (lowest <= below)
        ) WITH (fillfactor = 50)
    """)
    op.execute("INSERT INTO application_list_range (lowest, below) SELECT passed, passed FROM undecided_mark")


def _keep_changes() -> None:
    op.execute("""
        CREATE TABLE application_list_changes (
            application_id uuid NOT NULL,
            number         bigint GENERATED ALWAYS AS IDENTITY,
            PRIMARY KEY (application_id, number)
        )
    """)
    op.execute("""
        CREATE FUNCTION application_list_changes_are_kept() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF TG_TABLE_NAME = 'applications' THEN
                INSERT INTO application_list_changes (application_id) SELECT id FROM changed;
            ELSE
                INSERT INTO application_list_changes (application_id) SELECT application_id FROM changed;
            END IF;
            RETURN NULL;
        END $$
    """)
    for table, fires in CHANGES.items():
        rows = "NEW TABLE" if "UPDATE" in fires else "OLD TABLE"
        op.execute(f"""
            CREATE TRIGGER {table}_changes_the_list {fires} REFERENCING {rows} AS changed
            FOR EACH STATEMENT EXECUTE FUNCTION application_list_changes_are_kept()
        """)


def downgrade() -> None:
    """Search by walking again."""
    for table in CHANGES:
        op.execute(f"DROP TRIGGER {table}_changes_the_list ON {table}")
    op.execute("DROP FUNCTION application_list_changes_are_kept()")
    op.execute("DROP TABLE application_list, application_list_changes, application_list_range")
