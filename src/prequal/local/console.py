"""The output of `prequal up`: a line for each step that is done, and how long it took.

Invariant: on a terminal with colours, elsewhere plain lines; never a PAN beyond its mask.
"""

import os
import sys
import threading
from datetime import datetime
from typing import TextIO

from rich.console import Console
from rich.markup import escape


class StackConsole:
    """Prints whole lines, from any thread."""

    def __init__(self) -> None:
        self._console = _PipeConsole(file=sys.stdout, highlight=False, soft_wrap=True)
        self._lock = threading.Lock()

    def done(self, what: str, seconds: float) -> None:
        """Print that a step is done."""
        self._print(f"[green]✓[/] {escape(what):<46} [dim]{seconds:5.1f} s[/]")

    def started(self, what: str) -> None:
        """A step that takes a while was started."""
        self._print(f"[dim]… {escape(what)}[/]")

    def event(self, what: str) -> None:
        """Something happened by itself; shown with the time of day."""
        self._print(f"[yellow]{datetime.now().astimezone():%H:%M:%S}[/] {escape(what)}")

    def text(self, text: str = "") -> None:
        """Plain text, without markup."""
        self._print(escape(text))

    def _print(self, text: str) -> None:
        with self._lock:
            try:
                self._console.print(text)
                self._console.file.flush()
            except OSError:
                discard_output(sys.stdout)


class _PipeConsole(Console):
    """A console whose pipe may be closed: rich would end the process on the spot."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def discard_output(stream: TextIO) -> None:
    """Nobody takes this output: send everything from now on, the flush at exit included, to /dev/null."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, stream.fileno())
    os.close(null)
