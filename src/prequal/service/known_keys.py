"""Whether the keys that a process works with are still the database's, asked while it works.

Invariant: a process whose key was retired ends, and says so, before what it makes with the key is believed by nobody.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

import structlog

from prequal.core.errors import Transient
from prequal.core.lifecycle import pause
from prequal.postgres.connections import connected
from prequal.service.run import Check

LOOK_EVERY_SECONDS: Final = 15.0
"""Each look opens a connection of its own, which an idle process should not do often."""

log = structlog.get_logger()


async def watch(database_url: str, checks: Sequence[Check], stop: asyncio.Event) -> None:
    """Make these checks until `stop`.

    Raises:
        Misconfigured: as a check did.
    """
    while not stop.is_set():
        await pause(stop, LOOK_EVERY_SECONDS)
        try:
            async with connected(database_url, "keys", has_started=True) as connection:
                for check in checks:
                    await check(connection)
        except Transient as error:
            log.warning("retrying", what="keys", reason=str(error))
