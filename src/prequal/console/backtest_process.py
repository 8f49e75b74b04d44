"""One backtest in a process of its own, which everything else on the machine goes before.

Invariant: the process ends with its backtest, and with the console.
"""

import asyncio
from collections.abc import MutableSequence
from ctypes import c_longlong
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Final

from prequal.core.errors import PrequalError, Transient
from prequal.domain.policy.loading import load
from prequal.ops import backtest
from prequal.ops.backtest import Printed
from prequal.ops.selection import Moment
from prequal.service.process import begin_as_child

_CONTEXT: Final = get_context("spawn")


class Broken(Transient):
    """The backtest ended before it was done: try again."""


class BacktestProcess:
    """A backtest that runs until its report is written, which takes seconds too, or until it is stopped."""

    def __init__(self, database_url: str, document: str, since: Moment | None, until: Moment | None) -> None:
        """Start it. Raises `Broken` where it does not begin."""
        self._progress = _CONTEXT.RawArray(c_longlong, 2)
        self._answers, answers = _CONTEXT.Pipe(duplex=False)
        asked = (answers, self._progress, database_url, document, since, until)
        self._process = _CONTEXT.Process(target=_run, args=asked, daemon=True)
        try:
            self._process.start()
            assert self._process.pid  # it was started
            backtest.give_way(self._process.pid)
        except OSError:  # it cannot be started, or has ended already
            self._answers.close()
            raise Broken from None
        finally:
            answers.close()

    @property
    def progress(self) -> tuple[int, int]:
        """How many applications were read, and about how many are stored."""
        read, about = self._progress
        return read, about

    async def printed(self) -> Printed:
        """Wait for the report.

        Raises:
            Broken: the process was ended.
            UsageError: the period is empty.
            Transient: the database does not answer.
        """
        try:
            answer: Printed | PrequalError = await asyncio.to_thread(self._answers.recv)
        except EOFError:
            raise Broken from None
        finally:
            self.stop()
            await asyncio.to_thread(self._process.join)
        if isinstance(answer, PrequalError):
            raise answer
        return answer

    def stop(self) -> None:
        """End it now, if it has not ended."""
        self._process.kill()


def _run(
    answers: Connection,
    progress: MutableSequence[int],
    database_url: str,
    document: str,
    since: Moment | None,
    until: Moment | None,
) -> None:
    begin_as_child()

    def note(read: int, about: int) -> None:
        progress[:] = (read, about)

    try:
        answers.send(backtest.printed(backtest.backtest(database_url, load(document), since, until, note)))
    except PrequalError as problem:
        answers.send(problem)
