"""Old blocks of the record may leave the database: a seal says up to which one, and entries below it may be deleted.

A seal is under a MAC of RECORD_KEY, so that the owner of the tables alone can make none that verifies.
"""

from alembic import op

revision = "0127"
down_revision = "0126"
branch_labels = None
depends_on = None

TABLES = ("audit_log", "acts")


def upgrade() -> None:
    """Make the table of seals, and let triggers ask it."""
    op.execute("""
        CREATE TABLE record_seals (
            block          bigint PRIMARY KEY CHECK (block > 0),
            chained_at     timestamptz NOT NULL,
            audit_log_upto bigint NOT NULL,
            acts_upto      bigint NOT NULL,
            block_mac      bytea NOT NULL CHECK (octet_length(block_mac) = 32),
            sealed_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
            key_id         bytea NOT NULL CHECK (octet_length(key_id) = 8),
            mac            bytea NOT NULL CHECK (octet_length(mac) = 32)
        )
    """)
    for table in TABLES:
        # The statement's trigger refuses every DELETE before a row is looked at; the row's now decides.
        op.execute(f"""
            CREATE FUNCTION {table}_is_kept_until_sealed() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                IF OLD.id <= (SELECT {table}_upto FROM public.record_seals ORDER BY block DESC LIMIT 1) THEN
                    RETURN OLD;
                END IF;
                RAISE EXCEPTION '% is append-only: % is refused', TG_TABLE_NAME, TG_OP
                    USING ERRCODE = 'insufficient_privilege';
            END $$
        """)
        _trigger(table, "UPDATE OR TRUNCATE", "UPDATE")
        op.execute(f"""
            CREATE TRIGGER {table}_is_kept_until_sealed BEFORE DELETE ON {table}
            FOR EACH ROW EXECUTE FUNCTION {table}_is_kept_until_sealed()
        """)
        op.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_is_kept_until_sealed")


def downgrade() -> None:
    """Refuse every deletion again. After a seal code of before finds no beginning of the chain: `verify` says so."""
    for table in TABLES:
        op.execute(f"DROP TRIGGER {table}_is_kept_until_sealed ON {table}")
        op.execute(f"DROP FUNCTION {table}_is_kept_until_sealed()")
        _trigger(table, "DELETE OR UPDATE OR TRUNCATE", "DELETE OR UPDATE")
    op.execute("DROP TABLE record_seals")


def _trigger(table: str, of_statements: str, of_rows: str) -> None:
    for name, what, each in (
        (f"{table}_is_append_only", of_statements, "STATEMENT"),
        (f"{table}_rows_are_append_only", of_rows, "ROW"),
    ):
        op.execute(f"DROP TRIGGER {name} ON {table}")
        op.execute(f"""
            CREATE TRIGGER {name} BEFORE {what} ON {table} FOR EACH {each} EXECUTE FUNCTION is_append_only()
        """)
        op.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}")
