"""Tasks and pauses of a process that is to stop, and the work that it abandons to be able to end.

Invariant: a pause ends at once when the process is to stop.
"""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Coroutine
from typing import Any

import structlog

log = structlog.get_logger()

_abandoned: list[str] = []


def abandon(work: str) -> None:
    """Leave `work` behind, which would not let the interpreter finish; `process.run` then exits without it."""
    log.warning("shutdown_forced", work=work)
    _abandoned.append(work)


def stopped_by_signals() -> asyncio.Event:
    """An event that SIGTERM and SIGINT set; of the running loop."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


async def pause(stop: asyncio.Event, seconds: float) -> None:
    """Sleep for `seconds`, or until `stop` is set."""
    with contextlib.suppress(asyncio.TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()


async def first_of(seconds: float, *events: asyncio.Event) -> None:
    """Wait until one of `events` is set, at most `seconds`; none of them is cleared."""
    waiting = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in waiting:
            each.cancel()


@contextlib.asynccontextmanager
async def together() -> AsyncIterator[asyncio.TaskGroup]:
    """A task group whose first failure ends all of it, raised as itself and not as a group."""
    try:
        async with asyncio.TaskGroup() as group:
            yield group
    except BaseExceptionGroup as failures:
        first = failures.exceptions[0]
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        raise first from None


@contextlib.asynccontextmanager
async def beside(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Do endless `work` for as long as the block lasts; should it fail, the block ends with its error."""
    async with together() as group:
        working = group.create_task(work)
        try:
            yield
        finally:
            working.cancel()


def abandoned() -> bool:
    """Whether something was left behind, so that the interpreter would not end by itself."""
    return bool(_abandoned)
