"""A kept report of the bureau has the PAN's draw beside it: for who is reported by one no PAN is decrypted."""

from alembic import op

revision = "0122"
down_revision = "0121"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the column, empty; reports that are kept already go without a draw.

    The check reads every report, apart from the rest and under a lock that lets reads and writes go on. Of a step that
    was given up the column is there.
    """
    op.execute("""
        ALTER TABLE bureau_reports
        DROP CONSTRAINT IF EXISTS bureau_reports_challenge_draw_check,
        ADD COLUMN IF NOT EXISTS challenge_draw integer,
        ADD CONSTRAINT bureau_reports_challenge_draw_check CHECK (challenge_draw BETWEEN 0 AND 9999) NOT VALID
    """)
    with op.get_context().autocommit_block():
        op.execute("ALTER TABLE bureau_reports VALIDATE CONSTRAINT bureau_reports_challenge_draw_check")


def downgrade() -> None:
    """Forget the draws."""
    op.execute("ALTER TABLE bureau_reports DROP COLUMN challenge_draw")
