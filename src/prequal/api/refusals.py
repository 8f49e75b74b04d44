"""When applications without room are refused: at once while that takes a small share of the loop, else in their turn.

Invariant: most of the loop is for what is accepted, as far as each refusal can be made within four seconds even so.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Final, Protocol

SHARE: Final = 0.05
"""Of the loop's time, which refusals may take."""
LATE_SHARE: Final = 0.25
"""Which they may take as long as somebody has waited for his for over `LATE_SECONDS`."""
LATE_SECONDS: Final = 2.0
LAST_SECONDS: Final = 4.0
"""Who has waited for so long is refused, whatever that takes: every answer is promised within 4.5 s."""
BURST_SECONDS: Final = 0.05
"""What was not used of so much time may be used at once."""
DEBT_SECONDS: Final = 0.1
"""No refusal, however long it took, puts off the next one by more than this."""
TURN_SECONDS: Final = 0.01


class Waiting(Protocol):
    """A connection on which an application came that will be refused, and which is not read on until it is."""

    def refuse_now(self, waited_seconds: float) -> None:
        """Refuse it."""


class Refusals:
    """What refusals have taken of the loop, and who waits for one."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._normal = _Allowance(SHARE)
        self._late = _Allowance(LATE_SHARE)
        self._line: deque[tuple[float, Waiting]] = deque()

    def are_due(self) -> bool:
        """Whether one who comes now is refused now."""
        return not self._line and self._normal.is_left(self._clock())

    def took(self, seconds: float) -> None:
        """Note what a refusal took."""
        now = self._clock()
        self._normal.take(seconds, now)
        self._late.take(seconds, now)

    def wait(self, connection: Waiting) -> None:
        """Have a connection refused in its turn."""
        if not self._line:
            asyncio.get_running_loop().call_later(TURN_SECONDS, self._turn)
        self._line.append((self._clock(), connection))

    def _turn(self) -> None:
        now = self._clock()
        try:
            while self._line and self._is_turn_of(self._line[0][0], now):
                since, connection = self._line.popleft()
                connection.refuse_now(now - since)
        finally:  # a bug met by one must not keep all the others waiting
            if self._line:
                asyncio.get_running_loop().call_later(TURN_SECONDS, self._turn)

    def _is_turn_of(self, since: float, now: float) -> bool:
        if since <= now - LAST_SECONDS:
            return True
        return self._normal.is_left(now) or (since <= now - LATE_SECONDS and self._late.is_left(now))


class _Allowance:
    """A share of the time as it goes by."""

    def __init__(self, share: float) -> None:
        self._share = share
        self._used_until = 0.0

    def is_left(self, now: float) -> bool:
        return self._used_until <= now

    def take(self, seconds: float, now: float) -> None:
        until = max(self._used_until, now - BURST_SECONDS) + seconds / self._share
        self._used_until = min(until, now + DEBT_SECONDS)
