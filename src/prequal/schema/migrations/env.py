"""Runs the migrations in one transaction each, one process at a time.

Invariant: the advisory lock is held for the whole run, so that a second process finds the work done.
"""

import os

from alembic import context
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

MIGRATION_LOCK = 0x70726571  # "preq"


def _database_url() -> str:
    return str(context.config.attributes.get("database_url") or os.environ["DATABASE_URL"])


def run() -> None:
    """Connect, take the lock, migrate."""
    url = make_url(_database_url()).set(drivername="postgresql+psycopg")
    engine = create_engine(url, poolclass=NullPool, connect_args={"connect_timeout": 5})
    with engine.connect() as connection:
        connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": MIGRATION_LOCK})
        connection.commit()
        context.configure(connection=connection, transaction_per_migration=True)
        with context.begin_transaction():
            context.run_migrations()


run()
