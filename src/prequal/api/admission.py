"""Whether one more application would be written in time: what would not be is refused at once, not after a wait.

Invariant: while less than one batch waits and no write is stuck there is room, so that every estimate is tried again.
"""

from collections.abc import Callable
from time import monotonic
from typing import Final

FIRST_GUESS_SECONDS: Final = 0.08
"""What a full batch takes, before one was seen."""
WEIGHT_OF_THE_LAST: Final = 0.3


class AdmissionControl:
    """The estimate: how long the write of a full batch takes, and for how long the present one has been going on."""

    def __init__(
        self, within_seconds: float, waiting_max: int, batch_max: int, clock: Callable[[], float] = monotonic
    ) -> None:
        self._within_seconds = within_seconds
        self._waiting_max = waiting_max
        self._batch_max = batch_max
        self._clock = clock
        self._seconds_a_batch = FIRST_GUESS_SECONDS
        self._began: float | None = None

    def has_room(self, waiting: int) -> bool:
        """Whether one more has room behind so many that wait for their write to begin."""
        if waiting >= self._waiting_max:
            return False
        seconds = 0.0 if self._began is None else self._clock() - self._began
        if waiting >= self._batch_max:
            seconds += (waiting // self._batch_max + 1) * self._seconds_a_batch
        return seconds <= self._within_seconds

    def begin(self) -> None:
        """Note that a write began."""
        self._began = self._clock()

    def end(self, applications: int) -> None:
        """Note that the write ended. A small one says how long a full one takes only if it took longer."""
        assert self._began is not None
        seconds, self._began = self._clock() - self._began, None
        if applications * 2 >= self._batch_max or seconds > self._seconds_a_batch:
            self._seconds_a_batch += WEIGHT_OF_THE_LAST * (seconds - self._seconds_a_batch)
