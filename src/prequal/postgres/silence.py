"""Gives up long statements of a server that is silent: frozen with its machine, or cut off from this one.

A statement says nothing while it works, so that its own bound must be long; a server that works takes connections.

Invariant: a server that takes connections is waited for, however long it works.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from prequal.postgres.primary import DRIVER_ERRORS, Connection, PostgresAway, is_silent

LONG_SECONDS: Final = 60.0
"""Statements with a bound up to this are not watched; `MISSES_MAX` misses take as long."""
EVERY_SECONDS: Final = 10.0
ANSWER_SECONDS: Final = 10.0
"""How long a server that is busy may take, and this process where everything else goes before it."""
MISSES_MAX: Final = 3


@asynccontextmanager
async def watched(connection: Connection, database_url: str) -> AsyncIterator[None]:
    """A block whose connection is closed once its server has taken no other one for a minute.

    Raises:
        PostgresAway: it was closed.
    """
    watch = asyncio.create_task(_close_when_silent(connection, database_url))
    try:
        yield
    except DRIVER_ERRORS as error:
        if watch.done() and not watch.exception():
            raise PostgresAway("PostgreSQL has not answered for a minute: begin again when it does.") from error
        raise
    finally:
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)


async def _close_when_silent(connection: Connection, database_url: str) -> None:
    misses = 0
    while misses < MISSES_MAX:
        await asyncio.sleep(EVERY_SECONDS)
        misses = misses + 1 if await is_silent(database_url, ANSWER_SECONDS) else 0
    connection.terminate()
