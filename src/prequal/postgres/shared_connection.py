"""One connection for several tasks of a process, which use it one after another.

Invariant: no two of them use it at once.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from prequal.postgres.connections import Connection, SingleConnection


class SharedConnection:
    """One connection for several tasks that seldom need it, and then one after another: opening one costs 10 ms."""

    def __init__(self, database_url: str, name: str) -> None:
        self._connection = SingleConnection(database_url, name)
        self._turn = asyncio.Lock()

    @asynccontextmanager
    async def use(self) -> AsyncIterator[Connection]:
        """The connection for a few short statements, when it is free. Raises as `SingleConnection.use` does."""
        async with self._turn, self._connection.use() as connection:
            yield connection

    async def close(self) -> None:
        """Close the connection, as `SingleConnection.close` does; a later use opens another one."""
        async with self._turn:
            await self._connection.close()
