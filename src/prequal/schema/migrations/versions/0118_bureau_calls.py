"""How many calls of the bureau were allowed on a day: the limit holds over all processes and restarts."""

from alembic import op

revision = "0118"
down_revision = "0117"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table; a day without a row has no calls."""
    op.execute("CREATE TABLE bureau_calls (day date PRIMARY KEY, calls integer NOT NULL CHECK (calls > 0))")


def downgrade() -> None:
    """Forget the counts."""
    op.execute("DROP TABLE bureau_calls")
