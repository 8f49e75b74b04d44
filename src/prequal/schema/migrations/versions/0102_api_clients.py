"""The clients of the API are known, each by two secrets at most, of which keyed hashes alone are kept.

Two, so that a client changes its secret without a gap: the old one lives until the new one is in use.
"""

from alembic import op

revision = "0102"
down_revision = "0101"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make both tables."""
    op.execute("""
        CREATE TABLE api_clients (
            id         text COLLATE "C" PRIMARY KEY CHECK (octet_length(id) = 8 AND id !~ '[^a-z0-9]'),
            name       text NOT NULL UNIQUE CHECK (char_length(name) BETWEEN 1 AND 100),
            scopes     text[] NOT NULL CHECK (
                cardinality(scopes) > 0 AND scopes <@ ARRAY ['applications:read', 'applications:write']
            ),
            sandbox    boolean NOT NULL,
            created_at timestamptz NOT NULL DEFAULT now(),
            revoked_at timestamptz
        )
    """)
    op.execute("""
        CREATE TABLE api_client_secrets (
            client       text COLLATE "C" NOT NULL REFERENCES api_clients (id),
            slot         smallint NOT NULL CHECK (slot IN (1, 2)), -- a third secret has no place
            secret_hmac  bytea NOT NULL CHECK (octet_length(secret_hmac) = 32),
            created_at   timestamptz NOT NULL DEFAULT now(),
            not_before   timestamptz NOT NULL DEFAULT now(),
            expires_at   timestamptz,
            revoked_at   timestamptz,
            last_used_at timestamptz,
            PRIMARY KEY (client, slot)
        )
    """)


def downgrade() -> None:
    """Forget every client."""
    op.execute("DROP TABLE api_client_secrets, api_clients")
