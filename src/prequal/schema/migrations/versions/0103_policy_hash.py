"""A decision names the document by which it was taken, by its hash, and may be one without a score.

Decisions from before keep no hash: that the document says what the code said then is tested, but it was not there. A
missing score never approves and never rejects, so the check allows it for MANUAL_REVIEW alone.
"""

from alembic import op

revision = "0103"
down_revision = "0102"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column, and the wider check in the old one's place; 0104 looks at the rows that are there already."""
    op.execute("ALTER TABLE applications ADD COLUMN policy_hash bytea")
    op.execute("""
        ALTER TABLE applications
        DROP CONSTRAINT decided_whole,
        ADD CONSTRAINT applications_policy_hash_check CHECK (octet_length(policy_hash) = 32) NOT VALID,
        -- a decision is there whole or not at all; only one for people to take may lack a score
        ADD CONSTRAINT decided_whole CHECK (
            CASE status
                WHEN 'PENDING' THEN num_nonnulls(
                    cibil_score, decision_rule, decision_measures, policy_version, policy_hash
                ) = 0
                ELSE num_nulls(decision_rule, decision_measures, policy_version) = 0
                     AND (cibil_score IS NOT NULL OR status = 'MANUAL_REVIEW')
            END
        ) NOT VALID
    """)


def downgrade() -> None:
    """Drop the hashes; decisions without a score stay, and no further one can be written."""
    op.execute("""
        ALTER TABLE applications
        DROP CONSTRAINT decided_whole,
        DROP COLUMN policy_hash,
        ADD CONSTRAINT decided_whole CHECK (
            num_nulls(cibil_score, decision_rule, decision_measures, policy_version)
            = CASE status WHEN 'PENDING' THEN 4 ELSE 0 END
        ) NOT VALID
    """)
