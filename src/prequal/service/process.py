"""One service as one process: it starts, says when it is ready, and stops cleanly on a signal.

Invariant: SIGTERM ends the process with exit code 0 within SHUTDOWN_SECONDS and 1.5 more, frozen dependencies or not.
"""

import asyncio
import contextlib
import ctypes
import gc
import os
import resource
import signal
import sys
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import structlog
import uvloop

from prequal.core import lifecycle
from prequal.core.settings import ServiceSettings
from prequal.telemetry import logs, tracing

log = structlog.get_logger()

Main = Callable[[asyncio.Event], Coroutine[Any, Any, None]]

LAST_RESORT_SECONDS = 1.5
PR_SET_PDEATHSIG, PR_SET_DUMPABLE = 1, 4
"""Of Linux's prctl."""


def run(settings: ServiceSettings, main: Main) -> None:
    """Run `main` until it returns; it is given an event that SIGTERM and SIGINT set.

    Raises:
        Misconfigured: as `main` raised it, for the command line to print.
    """
    logs.configure(settings.service_name, settings.log_level)
    sys.excepthook = _uncaught
    threading.excepthook = lambda failure: _uncaught(failure.exc_type, failure.exc_value, None)
    _take_all_descriptors()
    keep_memory_private()
    tracing.start(settings)
    uvloop.run(_until_stopped(settings, main))
    if not tracing.stop():
        lifecycle.abandon("the traces")
    if lifecycle.abandoned():
        _exit_at_once()


def _take_all_descriptors() -> None:
    """Raise the limit of open files to what the system allows: a shell's own is often 1024."""
    _, allowed = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # a system may allow less than it says
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, allowed))


def keep_memory_private() -> None:
    """Leave no core file, and let no other process of this user read the memory: keys and PANs are in it."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)


def begin_as_child() -> None:
    """What a process does first that a service starts for one long computation: it ends when that service does."""
    keep_memory_private()
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _uncaught(_: type[BaseException], error: BaseException | None, __: object) -> None:
    """A bug ends as a line of the log: a raw traceback could show what it was about."""
    log.critical("uncaught", error=logs.where(error) if error else None)


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
    """A dependency that does not let go must not keep the process: what was in flight is published again."""
    os._exit(0)


def freeze_memory() -> None:
    """Take what start-up made out of the garbage collector's sight; a quarter more requests a second."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
