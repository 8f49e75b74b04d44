"""One service as one process: it starts, says when it is ready, and stops cleanly when it is told to.

Neighbours: each room's `service.py` hands its main coroutine to `run`; the command line calls that.
Invariant: SIGTERM ends the process with exit code 0 within ten seconds, frozen dependencies or not.
"""

import asyncio
import contextlib
import gc
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any

import structlog
import uvloop

from prequal.kernel import logs, tracing
from prequal.kernel.backoff import Backoff
from prequal.kernel.db import Connection, connected
from prequal.kernel.errors import Transient
from prequal.kernel.settings import ServiceSettings

log = structlog.get_logger()

Main = Callable[[asyncio.Event], Coroutine[Any, Any, None]]

LAST_RESORT_SECONDS = 1.5


def run(settings: ServiceSettings, main: Main) -> None:
    """Run `main` until it returns; it is given an event that SIGTERM and SIGINT set.

    Raises:
        Misconfigured: as `main` raised it, for the command line to print.
    """
    logs.configure(settings.service_name, settings.log_level)
    sys.excepthook = _uncaught
    threading.excepthook = lambda failure: _uncaught(failure.exc_type, failure.exc_value, None)
    tracing.start(settings)
    uvloop.run(_until_stopped(settings, main))
    if not tracing.stop():
        abandon("the traces")
    if _abandoned:
        _exit_at_once()


def _uncaught(_: type[BaseException], error: BaseException | None, __: object) -> None:
    """A bug ends as a line of the log: a raw traceback could show what it was about."""
    log.critical("uncaught", error=logs.where(error) if error else None)


_abandoned: list[str] = []


def abandon(what: str) -> None:
    """Leave something behind that would not let the interpreter finish; `run` then exits without it."""
    log.warning("abandoned", what=what)
    _abandoned.append(what)


async def _until_stopped(settings: ServiceSettings, main: Main) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _stop, stop, settings.shutdown_seconds)
    log.info("starting")
    await main(stop)
    log.info("stopped")


def _stop(stop: asyncio.Event, seconds: float) -> None:
    log.info("stopping")
    stop.set()
    timer = threading.Timer(seconds + LAST_RESORT_SECONDS, _exit_at_once)
    timer.daemon = True
    timer.start()


def _exit_at_once() -> None:
    """A dependency that does not let go must not keep the process: what was in flight is told again."""
    os._exit(0)


def settle_memory() -> None:
    """Take what start-up made out of the garbage collector's sight; a quarter more requests a second."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


async def wait_for_database(
    database_url: str, stop: asyncio.Event, *checks: Callable[[Connection], Awaitable[None]]
) -> None:
    """Wait until the database answers and passes `checks`; say so while it does not. Returns early when told to stop.

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
            log.warning("waiting", what="PostgreSQL", reason=str(error))
        await pause(stop, backoff.next())


async def pause(stop: asyncio.Event, seconds: float) -> None:
    """Sleep for `seconds`, or until told to stop."""
    with contextlib.suppress(asyncio.TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()


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
