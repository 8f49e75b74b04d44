"""When a relay looks for parked rows that are due: each time it renews its lease, as long as there may be any.

Invariant: a row that was parked under the lease is looked for until it must be due.
"""

from collections.abc import Callable
from time import monotonic
from typing import Final

from prequal.publisher.queries import PARKED_SECONDS_MAX

SELDOM_SECONDS: Final = 30.0
"""How often it is looked else: another publisher that has lost the lease may park a row afterwards."""


class Restoring:
    """The times at which parked rows of one topic are looked for."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._until = 0.0
        self._next = 0.0

    def expect(self) -> None:
        """There may be rows from now on: some were parked, tried again, or come with a lease that was taken."""
        self._until = self._clock() + PARKED_SECONDS_MAX + SELDOM_SECONDS
        self._next = 0.0

    def is_due(self) -> bool:
        """Whether it is time to look."""
        return self._clock() >= self._next

    def looked(self) -> None:
        """Note that none was found that is due."""
        now = self._clock()
        self._next = now if now < self._until else now + SELDOM_SECONDS
