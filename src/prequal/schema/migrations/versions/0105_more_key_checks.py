"""Check values of the keys of reports and of draws, too: a wrong one stops a start instead of deciding nothing."""

from alembic import op

revision = "0105"
down_revision = "0104"
branch_labels = None
depends_on = None

BEFORE = "'ENCRYPTION_KEY', 'PAN_HASH_KEY'"


def upgrade() -> None:
    """Let rows of two purposes more in."""
    _allow(f"{BEFORE}, 'REPORT_KEY', 'SCORE_DRAW_KEY'")


def downgrade() -> None:
    """Forget them: the first start after this records them again."""
    op.execute(f"DELETE FROM key_checks WHERE purpose NOT IN ({BEFORE})")
    _allow(BEFORE)


def _allow(purposes: str) -> None:
    op.execute(f"""
        ALTER TABLE key_checks
            DROP CONSTRAINT key_checks_purpose_check,
            ADD CONSTRAINT key_checks_purpose_check CHECK (purpose IN ({purposes}))
    """)
