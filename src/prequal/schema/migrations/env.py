"""Runs the migrations, one process at a time: in one transaction each, but for what is in an `autocommit_block`.

Invariant: the advisory lock is held for the whole run, so that a second process finds the work done; no step waits long
for a table's lock (`postgres.locks`).
"""

import os

import psycopg
from alembic import context
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from prequal.postgres.locks import LOCK_MS

MIGRATION_LOCK = 0x70726571  # "preq"


def _database_url() -> str:
    return str(context.config.attributes.get("database_url") or os.environ["DATABASE_URL"])


def _connect() -> "psycopg.Connection[tuple[object, ...]]":
    """Libpq reads the address, and of several hosts takes the one that takes writes."""
    return psycopg.connect(_database_url(), connect_timeout=5, target_session_attrs="read-write")


def run() -> None:
    """Connect, take the lock, migrate."""
    engine = create_engine("postgresql+psycopg://", creator=_connect, poolclass=NullPool)
    with engine.connect() as connection:
        connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": MIGRATION_LOCK})
        connection.execute(text(f"SET lock_timeout = {LOCK_MS}"))
        connection.commit()
        context.configure(connection=connection, transaction_per_migration=True)
        with context.begin_transaction():
            context.run_migrations()


run()
