"""SQL of the page about the system itself."""

from dataclasses import dataclass
from datetime import datetime

from prequal.core.topology import Service
from prequal.postgres.connections import Connection
from prequal.service import readiness


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


async def processes(connection: Connection) -> dict[str, int]:
    """How many processes of each service are connected to the database; of one that is away, 0."""
    rows = await connection.fetch(
        """
        SELECT split_part(application_name, ' ', 1), count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND split_part(application_name, ' ', 2) = $1
        GROUP BY 1
        """,
        readiness.CONNECTION,
    )
    return dict.fromkeys(Service, 0) | {row[0]: row[1] for row in rows}
