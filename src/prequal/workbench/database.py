"""One connection for one command.

Neighbours: `dead_letters`, `retelling` and `story` work over it.
Invariant: the database is at this code's revision before anything is read from it.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from prequal.kernel import db
from prequal.kernel.db import Connection
from prequal.kernel.schema import check_schema


@asynccontextmanager
async def connected(
    database_url: str, name: str, session: Mapping[str, str], command_seconds: float
) -> AsyncIterator[Connection]:
    """A connection, for as long as the block lasts; no command on it takes longer than `command_seconds`.

    Raises:
        Transient: the database cannot be reached, or failed.
        Misconfigured: the address or the password is wrong, or the database is not at this code's revision.
    """
    async with db.connected(database_url, name, session, command_seconds) as connection:
        await check_schema(connection)
        yield connection
