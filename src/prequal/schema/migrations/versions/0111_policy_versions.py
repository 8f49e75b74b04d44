"""Versions of the credit policy and their activations, so that a change of policy is no release of code.

A document that was activated keeps its hash, by the foreign key. Policy v1 is the first version, and in force.
"""

from importlib.resources import files

import sqlalchemy
from alembic import op

revision = "0111"
down_revision = "0110"
branch_labels = None
depends_on = None

HASH_OF_V1 = "f0be296734d765d8df95af9e19010c046b0b9c42003a1b007f8449d0a987a8d7"
KINDS = "('person', 'operator', 'client', 'process')"


def upgrade() -> None:
    """Make both tables, with v1 in them."""
    _make_versions()
    _make_activations()
    _insert_v1()


def _make_versions() -> None:
    op.execute(f"""
        CREATE TABLE policy_versions (
            version                text PRIMARY KEY CHECK (version ~ '^[a-z0-9][a-z0-9.-]{{0,31}}$'),
            document               text NOT NULL CHECK (octet_length(document) <= 262144),
            hash                   bytea NOT NULL CHECK (octet_length(hash) = 32),
            authors                text[] NOT NULL CHECK (cardinality(authors) > 0),
            proposed_by_kind       text NOT NULL CHECK (proposed_by_kind IN {KINDS}),
            proposed_by            text NOT NULL CHECK (char_length(proposed_by) BETWEEN 1 AND 100),
            proposed_at            timestamptz NOT NULL DEFAULT now(),
            backtest_hash          bytea CHECK (octet_length(backtest_hash) = 32),
            backtest_report        jsonb,
            backtested_at          timestamptz,
            approved_hash          bytea CHECK (octet_length(approved_hash) = 32),
            approved_backtest_hash bytea CHECK (octet_length(approved_backtest_hash) = 32),
            approved_by_kind       text CHECK (approved_by_kind IN {KINDS}),
            approved_by            text CHECK (char_length(approved_by) BETWEEN 1 AND 100),
            approved_at            timestamptz,
            UNIQUE (version, hash),
            CHECK (num_nulls(backtest_hash, backtest_report, backtested_at) IN (0, 3)),
            CHECK (num_nulls(approved_hash, approved_by_kind, approved_by, approved_at) IN (0, 4)),
            -- An approval that stands is of a person who wrote no part of the document.
            CONSTRAINT policy_versions_second_person CHECK (approved_hash <> hash OR approved_by <> ALL (authors))
        )
    """)


def _make_activations() -> None:
    op.execute(f"""
        CREATE TABLE policy_activations (
            id                bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            version           text NOT NULL,
            hash              bytea NOT NULL,
            effective_from    timestamptz NOT NULL,
            activated_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
            activated_by_kind text NOT NULL CHECK (activated_by_kind IN {KINDS}),
            activated_by      text NOT NULL CHECK (char_length(activated_by) BETWEEN 1 AND 100),
            FOREIGN KEY (version, hash) REFERENCES policy_versions (version, hash)
        )
    """)
    op.execute("CREATE INDEX policy_activations_effective ON policy_activations (effective_from, id)")
    op.execute("CREATE INDEX policy_activations_version ON policy_activations (version)")
    # Nothing takes effect before it was written: what was decided until then stays explained.
    op.execute("""
        CREATE FUNCTION policy_activations_has_the_time_of_the_database() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            NEW.activated_at := clock_timestamp();
            NEW.effective_from := greatest(NEW.effective_from, NEW.activated_at);
            RETURN NEW;
        END $$
    """)
    op.execute("""
        CREATE FUNCTION policy_activations_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'policy_activations is append-only: % is refused', TG_OP
            USING ERRCODE = 'insufficient_privilege';
        END $$
    """)
    op.execute("""
        CREATE TRIGGER policy_activations_has_the_time_of_the_database BEFORE INSERT ON policy_activations
        FOR EACH ROW EXECUTE FUNCTION policy_activations_has_the_time_of_the_database()
    """)
    op.execute("""
        CREATE TRIGGER policy_activations_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON policy_activations
        FOR EACH STATEMENT EXECUTE FUNCTION policy_activations_is_append_only()
    """)
    for trigger in ("policy_activations_has_the_time_of_the_database", "policy_activations_is_append_only"):
        op.execute(f"ALTER TABLE policy_activations ENABLE ALWAYS TRIGGER {trigger}")


def _insert_v1() -> None:
    """The version that came with the code: its release was its approval."""
    document = (files("prequal.domain.policy") / "documents" / "v1.toml").read_text("utf-8")
    op.get_bind().execute(
        sqlalchemy.text("""
            INSERT INTO policy_versions (
                version, document, hash, authors, proposed_by_kind, proposed_by,
                approved_hash, approved_by_kind, approved_by, approved_at
            ) VALUES (
                'v1', :document, decode(:hash, 'hex'), '{author of the code}', 'process', 'author of the code',
                decode(:hash, 'hex'), 'process', 'release', now()
            )
        """),
        {"document": document, "hash": HASH_OF_V1},
    )
    op.execute("""
        INSERT INTO policy_activations (version, hash, effective_from, activated_by_kind, activated_by)
        SELECT version, hash, now(), 'process', 'prequal migrate' FROM policy_versions
    """)


def downgrade() -> None:
    """Forget every version but the one that the code has."""
    op.execute("DROP TABLE policy_activations")
    op.execute("DROP TABLE policy_versions")
    op.execute("DROP FUNCTION policy_activations_is_append_only()")
    op.execute("DROP FUNCTION policy_activations_has_the_time_of_the_database()")
