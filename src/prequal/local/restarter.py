"""Keeps one child running: starts it, reports when it is ready, and starts it again after its end.

Invariant: a child that was killed is started again within two seconds, however often that happens.

    launch ──▶ ready ──▶ ended ──▶ pause ──▶ launch …       until the stack stops, or another start is pointless
"""

import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final, TypeVar

from prequal.core.errors import Misconfigured, Transient
from prequal.core.topology import ExitCode
from prequal.local.child_process import Child
from prequal.local.console import StackConsole
from prequal.local.services import ServiceProcess

PAUSES_SECONDS: Final = (0.2, 0.4, 0.8, 1.6)
"""Before a child is started again: longer each time, and always under the two seconds promised."""

STEADY_SECONDS: Final = 10.0
"""A child that ran at least this long starts with the shortest pause again."""

LINE_MAX: Final = 300
"""Characters that are shown of a log's line."""

FIRST_TRIES: Final = 3
"""A child that failed so often before it was ever ready is not started again."""


T = TypeVar("T")


def done_in_the_end(work: Callable[[], T], stopping: threading.Event, console: StackConsole) -> T:
    """What a step gives that can be done again where its store does not answer, as often as a child is started.

    Raises:
        Transient: the store did not answer the last time either, or the stack is stopping.
    """
    for pause in PAUSES_SECONDS[: FIRST_TRIES - 1]:
        try:
            return work()
        except Transient as problem:
            if stopping.wait(pause):
                raise
            console.event(f"{problem}: trying again")
    return work()


class Restarter:
    """The restarter of one child; `first_ready` is done when the child is ready, or never will be."""

    def __init__(self, child: Child, stopping: threading.Event, console: StackConsole) -> None:
        self.first_ready: Future[None] = Future()
        self._child = child
        self._stopping = stopping
        self._console = console
        self._failed_starts = 0

    def run(self) -> None:
        """Keep the child running until the stack stops.

        Raises:
            Misconfigured: the child reports that its settings are wrong.
            Transient: it failed several times before it was ever ready.
        """
        try:
            self._run_again_and_again()
        except Exception as problem:  # a bug of ours must not leave `first_ready` pending either
            if not self.first_ready.done():
                self.first_ready.set_exception(problem)
            raise

    def _run_again_and_again(self) -> None:
        pause = 0
        while True:
            began = time.monotonic()
            code = self._run_once(began)
            if self._stopping.is_set():
                raise Transient("the stack is stopping")
            self._raise_if_pointless(code)
            pause = 0 if time.monotonic() - began > STEADY_SECONDS else pause
            self._console.event(f"{self._child.name} {_ended(code)}: starting it again")
            if line := self._child.last_line():
                self._console.text(f"         the last line of its log: {line[:LINE_MAX]}")
            self._stopping.wait(PAUSES_SECONDS[pause])
            pause = min(pause + 1, len(PAUSES_SECONDS) - 1)

    def _run_once(self, began: float) -> int:
        """Start the child, wait until it ends, and return its exit code."""
        self._child.launch()
        try:
            self._child.wait_until_ready()
            self._report_ready(time.monotonic() - began)
        except Transient:
            # One that we end is a failed start, as one that ends by itself; who kills it otherwise proves nothing.
            self._failed_starts += self._child.running and not self.first_ready.done()
            self._child.kill()
        return self._child.wait()

    def _report_ready(self, seconds: float) -> None:
        if self.first_ready.done():
            self._console.event(f"{self._child.name} is back after {seconds:.1f} s")
        else:
            self._console.done(f"{self._child.name} on port {self._child.port}", seconds)
            self.first_ready.set_result(None)

    def _raise_if_pointless(self, code: int) -> None:
        """Raise when another start would not help."""
        sentence = f"{self._child.name}: {self._child.last_sentence()} (see {self._child.log})"
        if isinstance(self._child, ServiceProcess) and code == ExitCode.MISCONFIGURED:
            raise Misconfigured(sentence)
        if not self.first_ready.done():
            self._failed_starts += code > 0
        if self._failed_starts >= FIRST_TRIES:
            raise Transient(sentence)


def _ended(code: int) -> str:
    return f"ended with exit code {code}" if code >= 0 else f"was ended by {signal.Signals(-code).name}"
