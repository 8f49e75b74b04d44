"""The key of second factors is known to the database, as the others are.

Secrets themselves are encrypted by the first start that has the key; until then a row holds one in the clear, and the
same column does for both.
"""

from alembic import op

revision = "0126"
down_revision = "0125"
branch_labels = None
depends_on = None

BEFORE = "'ENCRYPTION_KEY', 'PAN_HASH_KEY', 'REPORT_KEY', 'SCORE_DRAW_KEY', 'RECORD_KEY'"


def upgrade() -> None:
    """Let PEOPLE_KEY be known."""
    _allow(f"{BEFORE}, 'PEOPLE_KEY'")


def downgrade() -> None:
    """Forget it. What it encrypted stays so, and lets nobody in by a code until `prequal users password` renews it."""
    op.execute("DELETE FROM key_checks WHERE purpose = 'PEOPLE_KEY'")
    _allow(BEFORE)


def _allow(purposes: str) -> None:
    op.execute(f"""
        ALTER TABLE key_checks
            DROP CONSTRAINT key_checks_purpose_check,
            ADD CONSTRAINT key_checks_purpose_check CHECK (purpose IN ({purposes}))
    """)
