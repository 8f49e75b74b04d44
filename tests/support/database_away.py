"""A database that refuses everybody for a while, on a server that stays, and one that never answers a goodbye."""

from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg
import psycopg
import pytest

from harness.database import Cluster, Database
from prequal.postgres.connections import Connection


@contextmanager
def away(cluster: Cluster, database: Database) -> Iterator[None]:
    """The database ends its connections and takes no other for as long as the block lasts."""
    name = database.url.rpartition("/")[2]
    with psycopg.connect(cluster.url, autocommit=True) as server:
        server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false".encode())
        server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
        try:
            yield
        finally:
            server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true".encode())
            database.close()


def let_no_connection_be_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """No server answers a connection's goodbye."""

    async def never(self: Connection, *, timeout: float) -> None:
        raise TimeoutError

    monkeypatch.setattr(asyncpg.Connection, "close", never)
