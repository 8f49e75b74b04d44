"""Moves the mark of the undecided on while no publisher does, or each search would read more and more decided rows.

Invariant: where the publisher moves it, nothing is written here.
"""

import asyncio
from typing import Final

import structlog

from prequal.core.errors import Transient
from prequal.core.lifecycle import pause
from prequal.postgres.connections import connected
from prequal.postgres.shared_connection import SharedConnection
from prequal.postgres.undecided import MarkMover, stands_still

log = structlog.get_logger()

LOOK_EVERY_SECONDS: Final = 15.0


async def keep_moving(database: SharedConnection, database_url: str, service_name: str, stop: asyncio.Event) -> None:
    """Look again and again, over a connection that is open anyway, until `stop`; move it over one of its own.

    What fails is tried again at the next look.
    """
    mover = MarkMover()
    while True:
        await pause(stop, LOOK_EVERY_SECONDS)
        if stop.is_set():
            return
        try:
            async with database.use() as connection:
                must_move = await stands_still(connection)
            if must_move:  # which may take seconds
                async with connected(database_url, f"{service_name} undecided", has_started=True) as connection:
                    await mover.move(connection)
        except Transient as error:
            log.warning("retrying", target="undecided_mark", reason=str(error))
