"""Whether the policy's decision on a case was published: what people decide then is published too."""

from alembic import op

revision = "0117"
down_revision = "0116"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Cases from before are of decisions that were not published."""
    op.execute("ALTER TABLE review_cases ADD COLUMN decision_published boolean NOT NULL DEFAULT false")


def downgrade() -> None:
    """Forget it; what people decide then is not published."""
    op.execute("ALTER TABLE review_cases DROP COLUMN decision_published")
