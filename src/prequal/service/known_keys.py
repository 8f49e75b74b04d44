"""Whether the keys that a process works with are still the database's, asked while it works.

Invariant: a process whose key was retired ends, and says so, before what it makes with the key is accepted by nobody.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

import structlog

from prequal.core.errors import Transient
from prequal.core.lifecycle import pause
from prequal.postgres.shared_connection import SharedConnection
from prequal.service.run import Check

LOOK_EVERY_SECONDS: Final = 15.0

log = structlog.get_logger()


async def watch(database: SharedConnection, checks: Sequence[Check], stop: asyncio.Event) -> None:
    """Make these checks, over a connection that is open anyway, until `stop`.

    Raises:
        Misconfigured: as a check did.
    """
    while True:
        await pause(stop, LOOK_EVERY_SECONDS)
        if stop.is_set():
            return
        try:
            async with database.use() as connection:
                for check in checks:
                    await check(connection)
        except Transient as error:
            log.warning("retrying", target="keys", reason=str(error))
