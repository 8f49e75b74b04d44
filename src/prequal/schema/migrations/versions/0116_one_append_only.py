"""One function refuses a change of every table that is only added to: there were four of the same body.

It names the table by itself, so that a new table needs a trigger alone.
"""

from alembic import op

revision = "0116"
down_revision = "0115"
branch_labels = None
depends_on = None

STATEMENT = "UPDATE OR DELETE OR TRUNCATE ON {table} FOR EACH STATEMENT"
ROW = "UPDATE OR DELETE ON {table} FOR EACH ROW"
TRIGGERS = (
    ("audit_log", "audit_log_is_append_only", STATEMENT, "audit_log"),
    ("audit_log", "audit_log_rows_are_append_only", ROW, "audit_log"),
    ("acts", "acts_is_append_only", STATEMENT, "acts"),
    ("acts", "acts_rows_are_append_only", ROW, "acts"),
    ("policy_activations", "policy_activations_is_append_only", STATEMENT, "policy_activations"),
    ("review_notes", "review_notes_is_append_only", STATEMENT, "review"),
    ("review_votes", "review_votes_is_append_only", STATEMENT, "review"),
)
"""Table, trigger, when it fires, and whose function it had."""


def upgrade() -> None:
    """Let every trigger call the one function."""
    _make("is_append_only")
    for table, trigger, fires, _ in TRIGGERS:
        _call(table, trigger, fires, "is_append_only")
    for owner in dict.fromkeys(owner for *_, owner in TRIGGERS):
        op.execute(f"DROP FUNCTION {owner}_is_append_only()")


def downgrade() -> None:
    """Give each its own function again."""
    for owner in dict.fromkeys(owner for *_, owner in TRIGGERS):
        _make(f"{owner}_is_append_only")
    for table, trigger, fires, owner in TRIGGERS:
        _call(table, trigger, fires, f"{owner}_is_append_only")
    op.execute("DROP FUNCTION is_append_only()")


def _make(function: str) -> None:
    op.execute(f"""
        CREATE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION '% is append-only: % is refused', TG_TABLE_NAME, TG_OP
                USING ERRCODE = 'insufficient_privilege';
        END $$
    """)


def _call(table: str, trigger: str, fires: str, function: str) -> None:
    """A trigger that is replaced fires as a new one does, so it is made to fire always again."""
    op.execute(f"CREATE OR REPLACE TRIGGER {trigger} BEFORE {fires.format(table=table)} EXECUTE FUNCTION {function}()")
    op.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {trigger}")
