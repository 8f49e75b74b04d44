"""When applications without room are refused: at once while that takes a small share of the loop, else in their turn.

They are asked to come again the later, the more of them there are, so that those who obey are refused at once.

Invariant: most of the loop is for what is accepted, as far as each refusal can be made within four seconds even so.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Final, Protocol

SHARE: Final = 0.04
"""The share of the loop's time that refusals may take."""
RETURNS_SHARE: Final = 0.006
"""The share that they take if every refused client comes again when it was asked to, and is refused again."""
LATE_SHARE: Final = 0.25
"""The share that they may take while a client has waited for its refusal for over `LATE_SECONDS`."""
LATE_SECONDS: Final = 3.0
LAST_SECONDS: Final = 4.0
"""A client that has waited for so long is refused, whatever that takes: every answer is promised within 4.5 s."""
BURST_SECONDS: Final = 0.05
"""The share of so much time that was not used may be used at once."""
DEBT_SECONDS: Final = 0.1
"""No refusal, however long it took, puts off the next one by more than this."""
AHEAD_SECONDS: Final = 15.0
"""`Retry-After` is raised by this much at most, in the mean."""
TURN_SECONDS: Final = 0.01


class WaitingConnection(Protocol):
    """A connection on which an application came that will be refused, and which is not read on until it is."""

    def refuse_now(self, waited_seconds: float) -> None:
        """Refuse it."""


class Refusals:
    """What refusals have taken of the loop, and who waits for one."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._normal = _Allowance(SHARE, DEBT_SECONDS)
        self._late = _Allowance(LATE_SHARE, DEBT_SECONDS)
        self._returns = _Allowance(RETURNS_SHARE, AHEAD_SECONDS)
        self._queue: deque[tuple[float, WaitingConnection]] = deque()
        self._is_turn_set = False

    def are_due(self) -> bool:
        """Whether one who comes now is refused now."""
        return not self._queue and self._normal.is_left(self._clock())

    def took(self, seconds: float) -> None:
        """Note what a refusal took, in seconds of CPU."""
        now = self._clock()
        for allowance in (self._normal, self._late, self._returns):
            allowance.take(seconds, now)

    def seconds_ahead(self) -> float:
        """How much later than at other times who is refused now should come again.

        If all who were refused come again and are refused, that takes no more than its share of the loop.
        """
        return self._returns.seconds_until_left(self._clock())

    def wait(self, connection: WaitingConnection) -> None:
        """Have a connection refused in its turn."""
        self._queue.append((self._clock(), connection))
        self._set_turn()

    def _set_turn(self) -> None:
        """Have one turn come, however many ask for it: who is refused in a turn may at once have to wait again."""
        if self._queue and not self._is_turn_set:
            self._is_turn_set = True
            asyncio.get_running_loop().call_later(TURN_SECONDS, self._turn)

    def _turn(self) -> None:
        now = self._clock()
        try:
            while self._queue and self._is_turn_of(self._queue[0][0], now):
                since, connection = self._queue.popleft()
                connection.refuse_now(now - since)
        finally:  # a bug met by one must not keep all the others waiting
            self._is_turn_set = False
            self._set_turn()

    def _is_turn_of(self, since: float, now: float) -> bool:
        if since <= now - LAST_SECONDS:
            return True
        return self._normal.is_left(now) or (since <= now - LATE_SECONDS and self._late.is_left(now))


class _Allowance:
    """A share of the time as it goes by."""

    def __init__(self, share: float, debt_seconds: float) -> None:
        self._share = share
        self._debt_seconds = debt_seconds
        self._used_until = 0.0

    def is_left(self, now: float) -> bool:
        return self._used_until <= now

    def seconds_until_left(self, now: float) -> float:
        return max(0.0, self._used_until - now)

    def take(self, seconds: float, now: float) -> None:
        until = max(self._used_until, now - BURST_SECONDS) + seconds / self._share
        self._used_until = min(until, now + self._debt_seconds)
