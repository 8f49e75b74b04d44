"""A person may be known to an issuer: by the pair of the issuer and the subject that its tokens name.

An organisation whose people have one sign-in already need not give each a password more.
"""

from alembic import op

revision = "0125"
down_revision = "0124"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make both columns, empty; the table is not rewritten."""
    op.execute("""
        ALTER TABLE people
            ADD COLUMN issuer text COLLATE "C" CHECK (char_length(issuer) BETWEEN 1 AND 500),
            ADD COLUMN subject text COLLATE "C" CHECK (char_length(subject) BETWEEN 1 AND 255),
            ADD CONSTRAINT people_identity_whole CHECK ((issuer IS NULL) = (subject IS NULL))
    """)
    # One person a subject, of those who may sign in: a token means nobody else.
    op.execute("CREATE UNIQUE INDEX people_identity_key ON people (issuer, subject) WHERE disabled_at IS NULL")


def downgrade() -> None:
    """Forget whom issuers vouch for."""
    op.execute("ALTER TABLE people DROP COLUMN subject, DROP COLUMN issuer")
