"""People who sign in, and their sessions.

Of a password its argon2id hash is kept, of a session's token its SHA-256; a second factor's secret has to be kept as it
is, because its codes are computed from it.
"""

from alembic import op

revision = "0109"
down_revision = "0108"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make both tables, empty: the first person is added at the command line."""
    op.execute("""
        CREATE TABLE people (
            name            text PRIMARY KEY CHECK (name ~ '^[a-z0-9][a-z0-9._@-]{0,99}$'),
            roles           text[] NOT NULL CHECK (
                cardinality(roles) BETWEEN 1 AND 6 AND roles <@ ARRAY[
                    'administrator', 'risk_officer', 'approver', 'reviewer', 'operator', 'auditor'
                ]
            ),
            password_hash   text NOT NULL CHECK (starts_with(password_hash, '$argon2id$')),
            totp_secret     text CHECK (char_length(totp_secret) >= 32),
            totp_last_step  bigint NOT NULL DEFAULT 0,
            failed_sign_ins integer NOT NULL DEFAULT 0 CHECK (failed_sign_ins >= 0),
            locked_until    timestamptz,
            created_at      timestamptz NOT NULL DEFAULT now(),
            disabled_at     timestamptz
        )
    """)
    op.execute("""
        CREATE TABLE people_sessions (
            token_hash bytea PRIMARY KEY CHECK (octet_length(token_hash) = 32),
            person     text NOT NULL REFERENCES people (name),
            created_at timestamptz NOT NULL DEFAULT now(),
            idle_until timestamptz NOT NULL,
            expires_at timestamptz NOT NULL
        )
    """)
    op.execute("CREATE INDEX people_sessions_person ON people_sessions (person)")


def downgrade() -> None:
    """Forget everybody."""
    op.execute("DROP TABLE people_sessions")
    op.execute("DROP TABLE people")
