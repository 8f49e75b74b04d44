"""A client may be known by the tokens of an issuer: by the pair of the issuer and the subject that they name.

An organisation that gives its services tokens already need not hand a second secret to each of them.
"""

from alembic import op

revision = "0121"
down_revision = "0120"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make both columns, empty; the table is not rewritten."""
    op.execute("""
        ALTER TABLE api_clients
            ADD COLUMN issuer text COLLATE "C" CHECK (char_length(issuer) BETWEEN 1 AND 500),
            ADD COLUMN subject text COLLATE "C" CHECK (char_length(subject) BETWEEN 1 AND 255),
            ADD CONSTRAINT api_clients_identity_whole CHECK ((issuer IS NULL) = (subject IS NULL))
    """)
    # One living client a subject: a token means nobody else.
    op.execute("CREATE UNIQUE INDEX api_clients_identity_key ON api_clients (issuer, subject) WHERE revoked_at IS NULL")


def downgrade() -> None:
    """Forget whom tokens of issuers name."""
    op.execute("ALTER TABLE api_clients DROP COLUMN subject, DROP COLUMN issuer")
