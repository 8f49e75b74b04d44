"""Backtests that people ask the console for, on a page or over the JSON API.

Invariant: one runs at a time; it ends with the console.
"""

import asyncio
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from prequal.console.away import ended_by
from prequal.console.backtest_process import BacktestProcess
from prequal.console.waiting import wait_briefly
from prequal.core.errors import PrequalError, Transient
from prequal.core.settings.console import ConsoleSettings
from prequal.domain.policy.policy import Policy
from prequal.ops.backtest import Printed
from prequal.ops.selection import Moment
from prequal.policy_versions import life
from prequal.policy_versions.life import Seen
from prequal.postgres.connections import ConnectionPool
from prequal.record.acts import Actor


class Busy(Transient):
    """Another backtest runs: try again when it is over."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One that runs, or the last that ended; `problem` says why it failed."""

    version: str
    by: str
    begun_at: datetime
    ended_at: datetime | None = None
    problem: str = ""


class Backtests:
    """Runs them, and remembers the last until the process ends."""

    def __init__(self, settings: ConsoleSettings, pool: ConnectionPool) -> None:
        self._settings = settings
        self._pool = pool
        self._process: BacktestProcess | None = None
        self._is_taken = False
        """Whether one runs, or is about to."""
        self._task: asyncio.Task[None] | None = None
        self.last: Asked | None = None

    @property
    def is_running(self) -> bool:
        """Whether one runs."""
        return self._is_taken

    @property
    def progress(self) -> tuple[int, int]:
        """How many applications the one that runs has read, and about how many are stored."""
        return self._process.progress if self._process else (0, 0)

    async def run(
        self, actor: Actor, policy: Policy, document: str, since: Moment | None, until: Moment | None = None
    ) -> Printed:
        """The report of the stored applications of a period, decided by a policy. Takes as long as it takes.

        Raises:
            Busy: another one runs.
            Broken: its process was ended.
            UsageError: the period is empty.
            Transient: the database does not answer.
        """
        return await self._run(self._taken(actor, policy), document, since, until)

    def _taken(self, actor: Actor, policy: Policy) -> Asked:
        """The turn of one; `_run` gives it back. Raises `Busy`."""
        if self._is_taken:
            raise Busy
        self._is_taken = True
        self.last = asked = Asked(policy.version, actor.name, datetime.now(UTC))
        return asked

    async def _run(self, asked: Asked, document: str, since: Moment | None, until: Moment | None) -> Printed:
        problem = ""
        try:
            self._process = BacktestProcess(self._settings.database_url, document, since, until)
            return await self._process.printed()
        except PrequalError as failure:
            problem = ended_by(failure)
            raise
        finally:
            self._process, self._is_taken = None, False
            self.last = replace(asked, ended_at=datetime.now(UTC), problem=problem)

    async def record(self, actor: Actor, policy: Policy, made: Printed, seen: Seen) -> None:
        """Keep a report with the proposed version. Raises `Conflict` where that moved meanwhile."""
        async with self._pool.use("console_write") as connection, connection.transaction():
            await life.record_backtest(connection, actor, policy, made.digest, made.counts, seen)

    async def begin(self, actor: Actor, policy: Policy, document: str, since: Moment, seen: Seen) -> None:
        """Begin one that is recorded, and `wait_briefly` for its end. Raises `Busy`."""
        asked = self._taken(actor, policy)
        self._task = asyncio.create_task(self._run_and_record(asked, actor, policy, document, since, seen))
        await wait_briefly(self._task)

    def stop(self) -> None:
        """End one that runs."""
        if self._process:
            self._process.stop()

    async def _run_and_record(
        self, asked: Asked, actor: Actor, policy: Policy, document: str, since: Moment, seen: Seen
    ) -> None:
        ended = None
        try:
            made = await self._run(asked, document, since, None)
            ended = self.last
            await self.record(actor, policy, made, seen)
        except PrequalError as problem:
            if ended and self.last is ended:
                self.last = replace(ended, problem=ended_by(problem))
