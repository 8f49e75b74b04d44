"""Keeps one child alive: starts it, says when it is ready, and starts it again whenever it ends.

Invariant: a child that was killed is on its way again within two seconds, however often that happens.

    launch ──▶ ready ──▶ ended ──▶ pause ──▶ launch …       until the house ends, or starting again is pointless
"""

import signal
import threading
import time
from concurrent.futures import Future
from typing import Final

from prequal.core.errors import Misconfigured, Transient
from prequal.local.child_process import Child
from prequal.local.console import StackConsole
from prequal.local.services import MISCONFIGURED, Service

PAUSES_SECONDS: Final = (0.2, 0.4, 0.8, 1.6)
"""Before a child is started again: longer each time, and always under the two seconds promised."""

STEADY_SECONDS: Final = 10.0
"""A child that has run so long starts with the shortest pause again."""

FIRST_TRIES: Final = 3
"""A child that ended by itself so often before it was ever ready will not do better the next time."""


class Restarter:
    """The restarter of one child; `first_ready` is settled when the child is ready, or never will be."""

    def __init__(self, child: Child, ending: threading.Event, console: StackConsole) -> None:
        self.first_ready: Future[None] = Future()
        self._child = child
        self._ending = ending
        self._console = console
        self._first_tries = 0

    def keep(self) -> None:
        """Keep the child alive until the house ends.

        Raises:
            Misconfigured: the child says that its settings are wrong.
            Transient: it ended by itself before it was ever ready, several times.
        """
        try:
            self._start_again_and_again()
        except Exception as problem:  # a bug of ours too must not leave anybody waiting
            if not self.first_ready.done():
                self.first_ready.set_exception(problem)
            raise

    def _start_again_and_again(self) -> None:
        pause = 0
        while True:
            began = time.monotonic()
            code = self._one_life(began)
            if self._ending.is_set():
                raise Transient("the house is ending")
            self._judge(code)
            pause = 0 if time.monotonic() - began > STEADY_SECONDS else pause
            self._console.event(f"{self._child.name} {_ended(code)}: starting it again")
            self._ending.wait(PAUSES_SECONDS[pause])
            pause = min(pause + 1, len(PAUSES_SECONDS) - 1)

    def _one_life(self, began: float) -> int:
        """Start the child, wait until it ends, and return its exit code."""
        self._child.launch()
        try:
            self._child.wait_until_ready()
            self._welcome(time.monotonic() - began)
        except Transient:
            self._child.kill()
        return self._child.wait()

    def _welcome(self, seconds: float) -> None:
        if self.first_ready.done():
            self._console.event(f"{self._child.name} is back after {seconds:.1f} s")
        else:
            self._console.done(f"{self._child.name} on port {self._child.port}", seconds)
            self.first_ready.set_result(None)

    def _judge(self, code: int) -> None:
        """Raise when another start is pointless."""
        words = f"{self._child.name}: {self._child.last_words()} (see {self._child.log})"
        if isinstance(self._child, Service) and code == MISCONFIGURED:
            raise Misconfigured(words)
        if not self.first_ready.done():
            self._first_tries += code > 0
        if self._first_tries >= FIRST_TRIES:
            raise Transient(words)


def _ended(code: int) -> str:
    return f"ended with exit code {code}" if code >= 0 else f"was ended by {signal.Signals(-code).name}"
