"""Fills the list that is searched, for as long as the console runs.

Invariant: it takes half of one connection's time at most, however much there is to list.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from prequal.console.queries import application_list
from prequal.core.errors import Transient
from prequal.core.lifecycle import pause
from prequal.postgres.connections import Connection, connected

EVERY_SECONDS: Final = 5.0
"""As often as the mark of the undecided moves."""
COMMAND_SECONDS: Final = 30.0
SESSION: Final = {"statement_timeout": "29000", "synchronous_commit": "off"}
"""A batch that a crash takes back is listed again."""

Step = Callable[[Connection], Awaitable[bool]]
STEPS: Final[tuple[Step, ...]] = (
    application_list.apply_changes,
    application_list.extend_up,
    application_list.extend_down,
)

log = structlog.get_logger()


async def follow(database_url: str, stop: asyncio.Event) -> None:
    """List until `stop` is set, with a new connection where one fails."""
    while not stop.is_set():
        try:
            async with connected(database_url, "listing", SESSION, COMMAND_SECONDS, has_started=True) as connection:
                while not stop.is_set():
                    took, is_whole = await _timed(connection)
                    await pause(stop, EVERY_SECONDS if is_whole else took)
        except (Transient, OSError) as problem:
            log.warning("applications_not_listed", error=type(problem).__name__)
            await pause(stop, EVERY_SECONDS)


async def _timed(connection: Connection) -> tuple[float, bool]:
    clock = asyncio.get_running_loop().time
    began = clock()
    is_whole = await fill(connection)
    return clock() - began, is_whole


async def fill(connection: Connection) -> bool:
    """One batch of each kind; False when there is more. Where another process fills at this moment it does nothing."""
    is_whole = True
    for step in STEPS:
        async with connection.transaction():
            if not await application_list.lock(connection):
                return True
            is_whole &= await step(connection)
    return is_whole
