"""The database's clock, which decides between early and late."""

from datetime import datetime

from prequal.postgres.connections import Connection


async def now(connection: Connection) -> datetime:
    """The time at this moment, also in a transaction that began before it."""
    moment: datetime = await connection.fetchval("SELECT clock_timestamp()")
    return moment
