"""Which hash key a claim, an idempotency key and a client's secret were made with, and which of the keys is retired.

A second hash key can then take the first one's place: what the first alone finds is known, and can be counted.
"""

from alembic import op

revision = "0120"
down_revision = "0119"
branch_labels = None
depends_on = None

TABLES = ("pan_claims", "idempotency_keys", "api_client_secrets")


def upgrade() -> None:
    """Rows of claims and keys from before end within a day; secrets are of the one key that there was."""
    op.execute("ALTER TABLE key_checks ADD COLUMN IF NOT EXISTS retired_at timestamptz")
    for table in TABLES:
        _add_hash_key(table)
    op.execute("""
        UPDATE api_client_secrets SET hash_key = (
            SELECT key_id FROM key_checks WHERE purpose = 'PAN_HASH_KEY' ORDER BY created_at LIMIT 1
        )
    """)
    # Apart from the rest, because it reads whole tables: its lock lets reads and writes go on meanwhile.
    with op.get_context().autocommit_block():
        for table in TABLES:
            op.execute(f"ALTER TABLE {table} VALIDATE CONSTRAINT {table}_hash_key_check")


def _add_hash_key(table: str) -> None:
    """Of a step that was given up the column is there, and stays as it is."""
    op.execute(f"""
        ALTER TABLE {table}
        DROP CONSTRAINT IF EXISTS {table}_hash_key_check,
        ADD COLUMN IF NOT EXISTS hash_key bytea,
        ADD CONSTRAINT {table}_hash_key_check CHECK (octet_length(hash_key) = 8) NOT VALID
    """)


def downgrade() -> None:
    """Forget it: the code of before knows one key, so a retired one is no key of the database any more."""
    for table in TABLES:
        op.execute(f"ALTER TABLE {table} DROP COLUMN hash_key")
    op.execute("DELETE FROM key_checks WHERE retired_at IS NOT NULL")
    op.execute("ALTER TABLE key_checks DROP COLUMN retired_at")
