"""The circuit breakers of this process, one a dependency, with their metric.

Invariant: all connections to one dependency share one breaker.
"""

import functools

from prequal.core.circuit_breaker import Breaker
from prequal.telemetry import metrics


@functools.cache
def breaker_of(dependency: str, address: str) -> Breaker:
    """The one breaker of this process for a dependency, however many connections it has.

    Args:
        dependency: `database`, `kafka_producer` or `bureau`, as the metric and `/ready` call it.
        address: the setting it is reached by; two addresses are two dependencies.
    """
    return Breaker(dependency, on_change=metrics.BREAKER_STATE.labels(dependency).set)
