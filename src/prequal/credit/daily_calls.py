"""The daily limit of calls to the bureau: a call waits until it is allowed, for a later day if need be.

Invariant: a call is counted in the database before it is made; while it cannot be counted, none is made.
"""

import asyncio
from collections.abc import Awaitable, Callable

import asyncpg
import structlog

from prequal.core.errors import Transient
from prequal.postgres import bureau_calls
from prequal.postgres.connections import SingleConnection, describe
from prequal.telemetry import metrics

log = structlog.get_logger()

LOOK_SECONDS = 5.0
"""Between two looks whether calls are allowed again: on another day, or when the database answers."""


class DailyCalls:
    """Allows the calls of this process: all that wait at once are counted by one statement."""

    def __init__(
        self, connection: SingleConnection, calls_max: int, pause: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        """Allow `calls_max` a day of India, over all processes; `connection` is used by nobody else."""
        self._connection = connection
        self._max = calls_max
        self._pause = pause
        self._waiting: list[asyncio.Future[None]] = []
        self._allowing: asyncio.Task[None] | None = None
        self._is_spent = False
        metrics.BUREAU_CALLS_LIMIT.set(calls_max)

    async def allowed(self) -> None:
        """Wait until one more call is allowed."""
        call: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(call)
        if self._allowing is None or self._allowing.done():
            self._allowing = asyncio.create_task(self._allow())
        await call

    async def close(self) -> None:
        """Allow no more, and let the connection go."""
        if self._allowing is not None:
            self._allowing.cancel()
            await asyncio.wait([self._allowing])
        await self._connection.close()

    async def _allow(self) -> None:
        await asyncio.sleep(0)  # the rest of its batch comes first
        while wanted := self._still_waiting():
            allowed = await self._count(len(wanted))
            for call in wanted[:allowed]:
                if not call.done():
                    call.set_result(None)
            if allowed < len(wanted):
                await self._pause(LOOK_SECONDS)

    def _still_waiting(self) -> list[asyncio.Future[None]]:
        self._waiting = [call for call in self._waiting if not call.done()]
        return list(self._waiting)

    async def _count(self, wanted: int) -> int:
        try:
            async with self._connection.use("count_calls") as connection:
                counted = await bureau_calls.count(connection, wanted, self._max)
        except (Transient, asyncpg.PostgresError) as error:
            log.warning("retrying", target="bureau_calls", reason=describe(error))
            return 0
        if counted < wanted and not self._is_spent:
            log.warning("bureau_calls_spent", limit=self._max, waiting=wanted - counted)
        self._is_spent = counted < wanted
        return counted
