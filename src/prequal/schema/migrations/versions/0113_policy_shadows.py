"""A candidate beside the policy in force: which version is one since when, and where it would decide otherwise."""

from alembic import op

revision = "0113"
down_revision = "0112"
branch_labels = None
depends_on = None

KINDS = "('person', 'operator', 'client', 'process')"


def upgrade() -> None:
    """Make both tables; a shadow without a version is none."""
    op.execute(f"""
        CREATE TABLE policy_shadows (
            id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            version       text REFERENCES policy_versions (version),
            hash          bytea CHECK (octet_length(hash) = 32),
            begun_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
            begun_by_kind text NOT NULL CHECK (begun_by_kind IN {KINDS}),
            begun_by      text NOT NULL CHECK (char_length(begun_by) BETWEEN 1 AND 100),
            CHECK (num_nulls(version, hash) IN (0, 2))
        )
    """)
    op.execute("""
        CREATE TABLE policy_shadow_differences (
            application_id uuid NOT NULL,
            hash           bytea NOT NULL CHECK (octet_length(hash) = 32),
            version        text NOT NULL,
            live_version   text NOT NULL,
            live_status    text NOT NULL,
            live_reason    text NOT NULL,
            shadow_status  text NOT NULL,
            shadow_reason  text NOT NULL,
            observed_at    timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (hash, application_id)
        )
    """)


def downgrade() -> None:
    """Forget the shadows and what they found."""
    op.execute("DROP TABLE policy_shadow_differences")
    op.execute("DROP TABLE policy_shadows")
