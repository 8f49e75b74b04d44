"""SQL of the page about the system itself."""

from dataclasses import dataclass
from datetime import datetime

from prequal.postgres.connections import Connection


@dataclass(frozen=True, slots=True)
class KeyUse:
    """A key of PANs by its id, and how often it has encrypted."""

    key_id: str
    encryptions: int
    first_used: datetime
    last_used: datetime


@dataclass(frozen=True, slots=True)
class Database:
    """The database: its server, the revision of its tables, its size in bytes."""

    server: str
    revision: str
    size_bytes: int
    now: datetime


async def key_uses(connection: Connection) -> list[KeyUse]:
    """The keys that have encrypted, the one in use first."""
    rows = await connection.fetch(
        "SELECT encode(key_id, 'hex'), encryptions, first_used, last_used FROM key_uses ORDER BY last_used DESC"
    )
    return [KeyUse(*row) for row in rows]


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
