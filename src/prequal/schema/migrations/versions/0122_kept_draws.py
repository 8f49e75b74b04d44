"""A kept report of the bureau has the PAN's draw beside it: for who is reported by one no PAN is decrypted."""

from alembic import op

revision = "0122"
down_revision = "0121"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the column, empty; reports that are kept already go without a draw."""
    op.execute("ALTER TABLE bureau_reports ADD COLUMN challenge_draw integer CHECK (challenge_draw BETWEEN 0 AND 9999)")


def downgrade() -> None:
    """Forget the draws."""
    op.execute("ALTER TABLE bureau_reports DROP COLUMN challenge_draw")
