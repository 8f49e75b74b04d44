"""The chain of the record: digests of its entries in blocks, each under a MAC; and row triggers that keep it.

A statement trigger does not fire where logical replication applies single rows; a row trigger does.
"""

from alembic import op

revision = "0112"
down_revision = "0111"
branch_labels = None
depends_on = None

BEFORE = "'ENCRYPTION_KEY', 'PAN_HASH_KEY', 'REPORT_KEY', 'SCORE_DRAW_KEY'"
TABLES = ("audit_log", "acts")


def upgrade() -> None:
    """Make the chain; what is in the record already is chained by the first run."""
    op.execute("""
        CREATE TABLE record_blocks (
            number            bigint PRIMARY KEY CHECK (number > 0),
            chained_at        timestamptz NOT NULL,
            audit_log_upto    bigint NOT NULL,
            acts_upto         bigint NOT NULL,
            audit_log_entries bytea NOT NULL CHECK (octet_length(audit_log_entries) % 24 = 0),
            acts_entries      bytea NOT NULL CHECK (octet_length(acts_entries) % 24 = 0),
            key_id            bytea NOT NULL CHECK (octet_length(key_id) = 8),
            mac               bytea NOT NULL CHECK (octet_length(mac) = 32)
        )
    """)
    # digests do not compress
    op.execute("ALTER TABLE record_blocks ALTER audit_log_entries SET STORAGE EXTERNAL")
    op.execute("ALTER TABLE record_blocks ALTER acts_entries SET STORAGE EXTERNAL")
    for table in TABLES:
        op.execute(f"""
            CREATE TRIGGER {table}_rows_are_append_only BEFORE UPDATE OR DELETE ON {table}
            FOR EACH ROW EXECUTE FUNCTION {table}_is_append_only()
        """)
        op.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_rows_are_append_only")
    _allow(f"{BEFORE}, 'RECORD_KEY'")


def downgrade() -> None:
    """Forget the chain; the record stays."""
    op.execute("DELETE FROM key_checks WHERE purpose = 'RECORD_KEY'")
    _allow(BEFORE)
    for table in TABLES:
        op.execute(f"DROP TRIGGER {table}_rows_are_append_only ON {table}")
    op.execute("DROP TABLE record_blocks")


def _allow(purposes: str) -> None:
    op.execute(f"""
        ALTER TABLE key_checks
            DROP CONSTRAINT key_checks_purpose_check,
            ADD CONSTRAINT key_checks_purpose_check CHECK (purpose IN ({purposes}))
    """)
