"""A version that decides a share of the applications, in the place of the one in force: which one, and since when."""

from alembic import op

revision = "0123"
down_revision = "0122"
branch_labels = None
depends_on = None

KINDS = "('person', 'operator', 'client', 'process')"


def upgrade() -> None:
    """Make the table; a challenge without a version is none."""
    op.execute(f"""
        CREATE TABLE policy_challenges (
            id                 bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            version            text,
            hash               bytea,
            share_basis_points integer CHECK (share_basis_points BETWEEN 1 AND 5000),
            -- It holds for as long as this one is in force.
            activation_id      bigint REFERENCES policy_activations (id),
            begun_at           timestamptz NOT NULL DEFAULT clock_timestamp(),
            begun_by_kind      text NOT NULL CHECK (begun_by_kind IN {KINDS}),
            begun_by           text NOT NULL CHECK (char_length(begun_by) BETWEEN 1 AND 100),
            CHECK (num_nulls(version, hash, share_basis_points, activation_id) IN (0, 4)),
            -- A document that decided keeps its hash.
            FOREIGN KEY (version, hash) REFERENCES policy_versions (version, hash)
        )
    """)
    op.execute("CREATE INDEX policy_challenges_version ON policy_challenges (version)")
    op.execute("""
        CREATE TRIGGER policy_challenges_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON policy_challenges
        FOR EACH STATEMENT EXECUTE FUNCTION is_append_only()
    """)
    op.execute("ALTER TABLE policy_challenges ENABLE ALWAYS TRIGGER policy_challenges_is_append_only")


def downgrade() -> None:
    """Forget the challenges."""
    op.execute("DROP TABLE policy_challenges")
