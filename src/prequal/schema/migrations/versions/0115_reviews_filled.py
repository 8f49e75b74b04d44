"""What waits for people has its case, from before there were cases too, and 0114's check holds for every row.

In a step of its own, because it reads the whole table; reads and writes go on meanwhile. The target time is 24 hours
after the decision, and over ₹10,00,000 two people are needed, as the settings have it by default.
"""

from alembic import op

revision = "0115"
down_revision = "0114"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Open a case for each application in MANUAL_REVIEW."""
    op.execute("ALTER TABLE applications VALIDATE CONSTRAINT decided_whole")
    op.execute("""
        INSERT INTO review_cases (application_id, opened_at, target_at, loan_amount_inr, people_needed)
        SELECT id, updated_at, updated_at + interval '24 hours', loan_amount_inr,
               CASE WHEN loan_amount_inr > 1000000 THEN 2 ELSE 1 END
        FROM applications WHERE status = 'MANUAL_REVIEW'
        ON CONFLICT DO NOTHING
    """)


def downgrade() -> None:
    """Nothing to take back: 0114 drops the cases."""
