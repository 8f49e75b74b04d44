"""SQL of the page about the system itself."""

from dataclasses import dataclass
from datetime import datetime

from prequal.postgres.connections import Connection


@dataclass(frozen=True, slots=True)
class Database:
    """The database: its server, the revision of its tables, its size in bytes."""

    server: str
    revision: str
    size_bytes: int
    now: datetime


async def database(connection: Connection) -> Database:
    """What the database says of itself."""
    row = await connection.fetchrow(
        """
        SELECT current_setting('server_version'), (SELECT version_num FROM alembic_version),
               pg_database_size(current_database()), now()
        """
    )
    assert row is not None
    return Database(*row)
