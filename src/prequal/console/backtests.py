"""Backtests that people ask the console for, on a page or over the JSON API.

Invariant: one runs at a time, in a thread of its own.
"""

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from prequal.console.visit import Visit
from prequal.core.errors import Transient
from prequal.domain.policy.policy import Policy
from prequal.ops import backtest
from prequal.ops.selection import Moment
from prequal.policy_versions import life

_RUNNING: Final = asyncio.Semaphore()


class Busy(Transient):
    """Another backtest runs: try again when it is over."""


async def run(visit: Visit, policy: Policy, since: Moment | None, until: Moment | None = None) -> dict[str, Any]:
    """The report of the stored applications of a period, decided by `policy`. Takes as long as it takes.

    Raises:
        Busy: another one runs.
        UsageError: the period is empty.
        Transient: the database does not answer.
    """
    if _RUNNING.locked():
        raise Busy
    async with _RUNNING:
        database_url = visit.console.settings.database_url
        return await asyncio.to_thread(partial(backtest.backtest, database_url, policy, since, until))


async def record(visit: Visit, policy: Policy, report: Mapping[str, Any], digest: bytes) -> None:
    """Keep a report with the proposed version. Raises `Conflict` where that moved meanwhile."""
    counts = backtest.without_flips(report)
    async with visit.writing() as connection, connection.transaction():
        await life.record_backtest(connection, visit.session.actor, policy, digest, counts)
