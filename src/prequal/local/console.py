"""What `prequal up` says while it works: a line for each thing done, and how long it took.

Invariant: on a terminal with colours, elsewhere plain lines; never a PAN beyond its mask.
"""

import os
import sys
import threading
from datetime import datetime

from rich.console import Console
from rich.markup import escape


class StackConsole:
    """Prints lines, from whichever thread, one at a time."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or _PatientConsole(file=sys.stdout, highlight=False, soft_wrap=True)
        self._turn = threading.Lock()

    def done(self, what: str, seconds: float) -> None:
        """Something that was begun is done."""
        self._print(f"[green]✓[/] {escape(what):<46} [dim]{seconds:5.1f} s[/]")

    def begun(self, what: str) -> None:
        """Something that takes a while was begun."""
        self._print(f"[dim]… {escape(what)}[/]")

    def event(self, what: str) -> None:
        """Something happened by itself: it gets the time of day."""
        self._print(f"[yellow]{datetime.now().astimezone():%H:%M:%S}[/] {escape(what)}")

    def say(self, text: str = "") -> None:
        """Plain words, without markup."""
        self._print(escape(text))

    def _print(self, text: str) -> None:
        with self._turn:
            try:
                self._console.print(text)
                self._console.file.flush()
            except OSError:
                _fall_silent()


class _PatientConsole(Console):
    """A console whose reader may leave: rich would end the process, wherever it just was."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def _fall_silent() -> None:
    """Nobody listens any more: what is still said, and flushed at the very end, goes nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
