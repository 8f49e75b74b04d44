"""The wait for the database at the start of a service.

Invariant: no check is skipped, and a check that fails for good stops the service at once.
"""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from prequal.core.backoff import Backoff
from prequal.core.errors import KeysUnavailable, Transient
from prequal.core.lifecycle import pause
from prequal.postgres.connections import Connection, connected

log = structlog.get_logger()


async def wait_for_database(
    database_url: str, stop: asyncio.Event, *checks: Callable[[Connection], Awaitable[None]]
) -> None:
    """Wait until the database answers and passes `checks`, logging while it does not. Returns early at `stop`.

    A check that raises `Transient` waits likewise, such as one that needs a key service.

    Raises:
        Misconfigured: a check did; waiting would not help.
    """
    backoff = Backoff(0.1, 2.0)
    while not stop.is_set():
        try:
            async with connected(database_url, "start") as connection:
                for check in checks:
                    await check(connection)
            return
        except Transient as error:
            target = "key service" if isinstance(error, KeysUnavailable) else "PostgreSQL"
            log.warning("retrying", target=target, reason=str(error))
        await pause(stop, backoff.next())
