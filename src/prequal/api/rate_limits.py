"""How much each client may ask of this process: token buckets, one for all its requests.

Invariant: within any t seconds a bucket lets through what t seconds refill, and at most once more what it holds.
"""

import math
from collections.abc import Callable
from time import monotonic
from typing import Final

from prequal.api.errors import ApiError, ErrorCode
from prequal.api.known_clients import Caller
from prequal.telemetry import metrics

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
        if full_at < now:  # max() would cost as much as the rest
            full_at = now
        full_at += window_seconds / quota
        wait = full_at - now - window_seconds
        if wait > NOTHING_SECONDS:
            return wait
        self._full_at[client] = full_at
        return 0.0


class RateLimits:
    """The buckets of one process. They hold one number a client that ever sent a request, so they need no end."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        """Begin with full buckets; `clock` gives seconds from anywhere."""
        self._requests = Buckets(clock)

    def take_request(self, caller: Caller) -> None:
        """Count a request of a caller; one without a rate may send any number.

        Raises:
            ApiError: he has sent more than his rate lets through.
        """
        rate = caller.requests_per_second
        if rate is not None and (wait := self._requests.take(caller.client, rate, 1.0)):
            raise _limited("requests", rate, 1, wait)


def _limited(policy: str, quota: int, window_seconds: int, wait: float) -> ApiError:
    """The refusal, with the fields of draft-ietf-httpapi-ratelimit-headers-10 (September 2025)."""
    metrics.RATE_LIMITED.labels(policy).inc()
    seconds = math.ceil(wait)
    headers = {
        "Retry-After": str(seconds),
        "RateLimit-Policy": f'"{policy}";q={quota};w={window_seconds}',
        "RateLimit": f'"{policy}";r=0;t={seconds}',
    }
    return ApiError(ErrorCode.RATE_LIMITED, headers=headers)
