"""The chain's lag behind the record, as metrics.

Invariant: it is found out without the key, so that a process that chains nothing shows it too.
"""

import asyncio
import time
from typing import Final

from prequal.core.errors import Transient
from prequal.core.lifecycle import pause
from prequal.postgres.connections import ConnectionPool
from prequal.record import queries
from prequal.telemetry import metrics

ASK_EVERY_SECONDS: Final = 5.0


async def watch(pool: ConnectionPool, stop: asyncio.Event) -> None:
    """Ask until `stop`. While the database does not answer, the age goes on as if nothing were chained."""
    began = time.monotonic()
    metrics.RECORD_UNCHAINED_AGE.set_function(lambda: time.monotonic() - began)
    while not stop.is_set():
        try:
            async with pool.use("record_lag") as connection:
                lag = await queries.lag(connection)
            began = time.monotonic() - lag.oldest_unchained_seconds
            metrics.RECORD_CHAINED_AT.set(lag.chained_at.timestamp() if lag.chained_at else 0)
        except Transient:
            pass
        await pause(stop, ASK_EVERY_SECONDS)
