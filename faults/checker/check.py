"""Checks one system again and again, as a campaign does: what was read and searched before is not read again.

Invariant: a run is judged by what was written since it began, and by what holds for every row there is.
"""

from pathlib import Path

from faults.checker import reading, verdict
from faults.checker.evidence import Evidence, Violation
from faults.checker.leaks import Search
from faults.checker.system import JudgedSystem
from harness.collector import uncollected
from harness.journal import Connections, Entry, Fault, Measured, Planted, Reviewed, Reviewing, Tail

LASTING = (Measured, Connections, Planted, Fault, Reviewing, Reviewed)
"""Entries that later runs are judged by, too."""


class Checker:
    """One system, its journal, and what is known of both already."""

    def __init__(self, folder: Path, book: Path) -> None:
        """Take what lies in `folder` as seen: PANs that are drawn later cannot be in it."""
        self._book = Tail(book)
        self._search = Search(folder, leave_out=[book])
        self._search.remember()
        self._entries: list[Entry] = []

    def evidence(self, system: JudgedSystem) -> Evidence:
        """Everything there is to know now of the run that the journal's newest entries tell of."""
        lasting = [entry for entry in self._entries if isinstance(entry, LASTING)]
        self._entries = [*lasting, *self._book.read()]
        return reading.gather(system, self._entries, self._search)

    def check(self, system: JudgedSystem) -> list[Violation]:
        """What does not hold, of what the journal says since the last check and of all that is stored."""
        with uncollected():
            return verdict.check(self.evidence(system))
