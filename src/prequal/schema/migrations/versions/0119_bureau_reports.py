"""Reports of the bureau that are kept for a client's next application of the same PAN, and how old a used one was."""

from alembic import op

revision = "0119"
down_revision = "0118"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make both tables; a report without a score says that the bureau has no file."""
    op.execute("""
        CREATE TABLE bureau_reports (
            client          text COLLATE "C" NOT NULL,
            pan_number_hash text COLLATE "C" NOT NULL
                            CHECK (octet_length(pan_number_hash) = 64 AND pan_number_hash !~ '[^0-9a-f]'),
            cibil_score     integer CHECK (cibil_score BETWEEN 300 AND 900),
            reported_at     timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (client, pan_number_hash)
        )
    """)
    op.execute("""
        CREATE TABLE reused_reports (
            application_id uuid PRIMARY KEY,
            age_seconds    integer NOT NULL CHECK (age_seconds >= 0)
        )
    """)


def downgrade() -> None:
    """Forget the reports, and which applications used one again."""
    op.execute("DROP TABLE reused_reports")
    op.execute("DROP TABLE bureau_reports")
