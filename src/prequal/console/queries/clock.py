"""SQL of the time at which a page was read."""

from datetime import datetime

from prequal.postgres.connections import Connection


async def now(connection: Connection) -> datetime:
    """The database's time."""
    moment: datetime = await connection.fetchval("SELECT now()")
    return moment
