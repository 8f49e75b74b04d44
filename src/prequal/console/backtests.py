"""Backtests that people ask the console for, on a page or over the JSON API.

Invariant: one runs at a time, in a process of its own, which everything else on the machine goes before.
"""

import asyncio
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import Any, Final

from prequal.console.visit import Visit
from prequal.core.errors import Transient
from prequal.domain.policy.policy import Policy
from prequal.ops import backtest
from prequal.ops.selection import Moment
from prequal.policy_versions import life
from prequal.service.process import begin_as_child

_RUNNING: Final = asyncio.Semaphore()


class Busy(Transient):
    """Another backtest runs: try again when it is over."""


class Broken(Transient):
    """The backtest ended before it was done: try again."""


async def run(visit: Visit, document: str, since: Moment | None, until: Moment | None = None) -> dict[str, Any]:
    """The report of the stored applications of a period, decided by a document. Takes as long as it takes.

    Raises:
        Busy: another one runs.
        Broken: its process was ended.
        UsageError: the period is empty.
        Transient: the database does not answer.
    """
    if _RUNNING.locked():
        raise Busy
    async with _RUNNING:
        process = ProcessPoolExecutor(1, get_context("spawn"), begin_as_child)
        asked = (visit.console.settings.database_url, document, since, until)
        try:
            return await asyncio.get_running_loop().run_in_executor(process, backtest.backtest_of_document, *asked)
        except BrokenProcessPool:
            raise Broken from None
        finally:
            process.shutdown(wait=False)


async def record(visit: Visit, policy: Policy, report: Mapping[str, Any], digest: bytes) -> None:
    """Keep a report with the proposed version. Raises `Conflict` where that moved meanwhile."""
    counts = backtest.without_flips(report)
    async with visit.writing() as connection, connection.transaction():
        await life.record_backtest(connection, visit.session.actor, policy, digest, counts)
