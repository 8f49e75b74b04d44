"""Circuit breakers: a dependency that keeps failing is left alone for a moment, and then tried by one caller first.

Invariant: while a breaker is open nothing waits for the dependency, and no work that needs it is begun.

    closed ──three failures in a row──► open ──half a second to two──► half-open ──success──► closed
                                          ▲                                │
                                          └────────────failure─────────────┘
"""

import logging
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import IntEnum
from time import monotonic

import structlog

from prequal.core.errors import Transient

log = structlog.get_logger()

FAILURES_MAX = 3
FIRST_OPEN_SECONDS, LAST_OPEN_SECONDS = 0.5, 2.0
PROBE_SECONDS = 8.0
"""A probe without an outcome by then is given up, and another call may go."""


class State(IntEnum):
    """The three states, by the number that the metric shows."""

    CLOSED = 0
    HALF_OPEN = 1
    OPEN = 2

    @property
    def word(self) -> str:
        """`closed`, `half_open` or `open`."""
        return self.name.lower()


class BreakerOpen(Transient):
    """The dependency failed too often just now, and is left alone for a moment."""


class Breaker:
    """One dependency's breaker, for one event loop.

    Attributes:
        last_failure: of what kind the last failure was that was blamed on the dependency.
    """

    def __init__(
        self,
        dependency: str,
        on_change: Callable[[State], object] = lambda _: None,
        clock: Callable[[], float] = monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._dependency = dependency
        self._on_change = on_change
        self._clock = clock
        self._chance = chance
        self.last_failure: type[BaseException] | None = None
        self._last_reason = ""
        self._failures = 0
        self._open_seconds = FIRST_OPEN_SECONDS
        self._not_before = 0.0
        self._state = State.CLOSED
        on_change(State.CLOSED)

    @property
    def state(self) -> State:
        """The state as it was left by the last call."""
        return self._state

    @property
    def admits(self) -> bool:
        """Whether a call would be let through now: any while closed, one probe when the pause is over."""
        return self._state is State.CLOSED or self._clock() >= self._not_before

    def try_enter(self) -> bool:
        """Whether this call may go; the first one after the pause goes as the probe."""
        if not self.admits:
            return False
        if self._state is not State.CLOSED:
            self._not_before = self._clock() + PROBE_SECONDS
            self._become(State.HALF_OPEN)
        return True

    def succeeded(self) -> None:
        """The dependency did what it was asked to."""
        self._failures = 0
        if self._state is not State.CLOSED:
            self._open_seconds = FIRST_OPEN_SECONDS
            self._become(State.CLOSED)

    def failed(self) -> None:
        """The dependency did not answer, or not in time. What began before the breaker opened changes nothing."""
        self._failures += 1
        if self._state is State.HALF_OPEN:
            self._open_seconds = min(self._open_seconds * 2, LAST_OPEN_SECONDS)
        elif self._state is State.OPEN or self._failures < FAILURES_MAX:
            return
        self._not_before = self._clock() + self._open_seconds * (0.8 + 0.4 * self._chance())
        self._become(State.OPEN)

    @contextmanager
    def guarding(
        self, blames: Callable[[BaseException], bool], refusal: type[BreakerOpen] = BreakerOpen
    ) -> Iterator[None]:
        """Run the body unless the breaker is open, and record how it ends; `blames` tells the dependency's failures.

        Raises:
            BreakerOpen: the body was not run; it is a `refusal`, and says how the dependency failed.
        """
        if not self.try_enter():
            times = f"{self._dependency} failed {self._failures} times in a row and is left alone for now"
            raise refusal(times + (f"; at last: {self._last_reason}" if self._last_reason else ""))
        try:
            yield
        except BaseException as error:
            if blames(error):
                self.last_failure = type(error)
                self._last_reason = str(error) if isinstance(error, Transient) else type(error).__name__
                self.failed()
            else:
                self.succeeded()
            raise
        self.succeeded()

    def _become(self, state: State) -> None:
        probing = state is State.HALF_OPEN or (state is State.OPEN and self._state is State.HALF_OPEN)
        log.log(
            logging.DEBUG if probing else logging.WARNING, "breaker_changed", breaker=self._dependency, state=state.word
        )
        self._state = state
        self._on_change(state)
