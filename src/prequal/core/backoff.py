"""Pauses between retries: longer each time, and never the same for all processes.

Invariant: a pause is within a fifth of its nominal length, and no longer than the last one allows.
"""

import random


class Backoff:
    """Pauses that double from the first to the last."""

    def __init__(self, first_seconds: float, last_seconds: float) -> None:
        self._first = self._next = first_seconds
        self._last = last_seconds

    def next(self) -> float:
        """The seconds to wait now."""
        seconds = self._next
        self._next = min(seconds * 2, self._last)
        return seconds * random.uniform(0.8, 1.2)

    def reset(self) -> None:
        """It worked: the next pause is the first again."""
        self._next = self._first
