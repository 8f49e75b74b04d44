"""How much each client may ask of this process: token buckets, one for all its requests, a small one for repeats.

Invariant: within any t seconds a bucket lets through what t seconds refill, and at most once more what it holds. That a
repeat is refused says nothing of the PAN at hand: it depends on what the client has posted before alone.
"""

import math
from collections.abc import Callable
from time import monotonic
from typing import Final

from prequal.api.errors import ApiError, ErrorCode
from prequal.api.known_clients import Caller
from prequal.telemetry import metrics

REPEATS: Final = 100
REPEATS_SECONDS: Final = 10
"""A client may post so many repeats within so many seconds: PANs that it has posted already within 24 hours."""
REPEATS_WORDS: Final = "Too many applications for PANs that were posted within 24 hours: try again after Retry-After."
NOTHING_SECONDS: Final = 1e-6
"""A shorter wait is none: a clock of days is no more exact when a small number is added to it."""


class Buckets:
    """A bucket for each client, full at first; of each the moment is kept at which it will be full again."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._full_at: dict[str, float] = {}

    def take(self, client: str, quota: int, window_seconds: float) -> float:
        """Take one token of a bucket that holds `quota` and refills within `window_seconds`.

        Returns:
            0 if there was one; else the seconds until there is, and none was taken.
        """
        now = self._clock()
        full_at = self._full_at.get(client, now)
        if full_at < now:  # `max` would cost as much as the rest
            full_at = now
        full_at += window_seconds / quota
        wait = full_at - now - window_seconds
        if wait > NOTHING_SECONDS:
            return wait
        self._full_at[client] = full_at
        return 0.0

    def owe(self, client: str, quota: int, window_seconds: float) -> None:
        """Take one token though there may be none, for what has happened already: one bucket is owed at most."""
        now = self._clock()
        full_at = max(self._full_at.get(client, now), now) + window_seconds / quota
        self._full_at[client] = min(full_at, now + 2 * window_seconds)

    def wait(self, client: str, quota: int, window_seconds: float) -> float:
        """The seconds until `take` would find a token, which is 0 if there is one; none is taken."""
        full_at = self._full_at.get(client)
        if full_at is None:
            return 0.0
        wait = full_at + window_seconds / quota - self._clock() - window_seconds
        return wait if wait > NOTHING_SECONDS else 0.0


class RateLimits:
    """The buckets of one process. They hold one number a client that ever sent a request, so they need no end."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        """Begin with full buckets; `clock` gives seconds from anywhere."""
        self._requests = Buckets(clock)
        self._repeats = Buckets(clock)

    def take_request(self, caller: Caller) -> None:
        """Count a request of a caller; one without a rate may send any number.

        Raises:
            ApiError: he has sent more than his rate lets through.
        """
        rate = caller.requests_per_second
        if rate is not None and (wait := self._requests.take(caller.client, rate, 1.0)):
            raise _limited("requests", rate, 1, wait)

    def take_post(self, caller: Caller) -> None:
        """Count a request that posts an application.

        Raises:
            ApiError: the caller has sent more than his rate lets through, or posted too many repeats.
        """
        self.take_request(caller)
        if wait := self._repeats.wait(caller.client, REPEATS, REPEATS_SECONDS):
            raise _limited("repeats", REPEATS, REPEATS_SECONDS, wait, REPEATS_WORDS)

    def note_repeat(self, caller: Caller) -> None:
        """Count a repeat, which was answered: a duplicate, or the PAN of an application that was rejected."""
        if caller.requests_per_second is not None:
            self._repeats.owe(caller.client, REPEATS, REPEATS_SECONDS)


def _limited(policy: str, quota: int, window_seconds: int, wait: float, words: str | None = None) -> ApiError:
    """The refusal, with the fields of draft-ietf-httpapi-ratelimit-headers-10 (September 2025)."""
    metrics.RATE_LIMITED.labels(policy).inc()
    seconds = math.ceil(wait)
    headers = {
        "Retry-After": str(seconds),
        "RateLimit-Policy": f'"{policy}";q={quota};w={window_seconds}',
        "RateLimit": f'"{policy}";r=0;t={seconds}',
    }
    return ApiError(ErrorCode.RATE_LIMITED, headers=headers, words=words)
