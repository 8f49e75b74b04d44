"""Warnings and errors that repeat: so many of a kind in a second are lines, the rest is one line with their number.

Invariant: logging never fails by it; what is left out is counted, in a line that comes within a second unless the
process ends before or, where no thread can be started for it, with the next line from then on.
"""

import logging
import threading
from collections import Counter
from collections.abc import Callable
from time import monotonic
from typing import Final, TypeAlias

A_SECOND: Final = 10
"""So many lines of a kind."""
WINDOW_SECONDS: Final = 1.0

Kind: TypeAlias = tuple[int, str]
"""A level and an event."""
Later: TypeAlias = Callable[[float, Callable[[], None]], object]
"""Calls a function after so many seconds."""


def in_a_thread(seconds: float, call: Callable[[], None]) -> None:
    """Call later, from a thread: there is not always a loop where something is logged."""
    timer = threading.Timer(seconds, call)
    timer.daemon = True
    timer.start()


class RepeatedWarnings(logging.Filter):
    """Lets ten lines of a kind through in a second; at its end `write` is given a record with the number left out.

    What is said for information has bounds of its own where it is said, and what is critical is said once.
    """

    def __init__(
        self,
        write: Callable[[logging.LogRecord], object],
        later: Later = in_a_thread,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        super().__init__()
        self._write = write
        self._later = later
        self._clock = clock
        self._lock = threading.Lock()
        self._seen: Counter[Kind] = Counter()
        self._ends_at = 0.0
        self._is_sum_due = False

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is written."""
        if not logging.WARNING <= record.levelno < logging.CRITICAL or record.name == __name__:
            return True
        left_out: Counter[Kind] = Counter()
        with self._lock:
            now = self._clock()
            if now >= self._ends_at and not self._is_sum_due:
                left_out = self._begin_afresh()
                self._ends_at = now + WINDOW_SECONDS
            kind = record.levelno, _event(record)
            self._seen[kind] += 1
            is_left_out = self._seen[kind] > A_SECOND
            if is_left_out and not self._is_sum_due:
                self._is_sum_due = self._can_sum_in(self._ends_at - now)
        self._write_sums(left_out)
        return not is_left_out

    def _can_sum_in(self, seconds: float) -> bool:
        try:
            self._later(seconds, self._sum)
        except Exception:  # no thread can be started now
            return False
        return True

    def _sum(self) -> None:
        """Write how many of each kind were left out, and begin afresh."""
        with self._lock:
            left_out = self._begin_afresh()
            self._is_sum_due = False
        self._write_sums(left_out)

    def _begin_afresh(self) -> Counter[Kind]:
        """Forget what was seen; returns how many of each kind were left out."""
        left_out = Counter({kind: count - A_SECOND for kind, count in self._seen.items() if count > A_SECOND})
        self._seen.clear()
        return left_out

    def _write_sums(self, left_out: Counter[Kind]) -> None:
        for (level, event), count in left_out.items():
            record = logging.LogRecord(__name__, level, __file__, 0, "repeated", None, None)
            record.__dict__ |= {"repeated_event": event, "count": count}
            self._write(record)


def _event(record: logging.LogRecord) -> str:
    """What is said: ours is a dictionary on its way to the formatter, others' are a text and what is put into it."""
    return str(record.msg["event"] if isinstance(record.msg, dict) else record.msg)
