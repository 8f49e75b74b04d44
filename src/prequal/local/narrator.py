"""What `prequal up` says while it works: a line for each thing done, and how long it took.

Neighbours: the supervisor and the demonstration speak through it.
Invariant: on a terminal with colours, elsewhere plain lines; never a PAN beyond its mask.
"""

import sys
import threading
from contextlib import suppress
from datetime import datetime

from rich.console import Console
from rich.markup import escape


class Narrator:
    """Prints lines, from whichever thread, one at a time."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(file=sys.stdout, highlight=False, soft_wrap=True)
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
        with self._turn, suppress(OSError):  # a terminal that was closed must not end the house
            self._console.print(text)
            self._console.file.flush()
