"""A build that sees and says nothing: its metrics and logs are there in name only.

    PYTHONPATH=bench/silent prequal up

Invariant: the product knows nothing of it, and no process starts when what it silences is no longer there.
"""

import logging
from typing import Any


def silence() -> None:
    """Rebind what counts, surveys and logs."""
    from prometheus_client import Counter, Gauge, Histogram
    from prometheus_client.metrics import MetricWrapperBase

    from prequal.publisher import system_metrics
    from prequal.telemetry import logs

    _rebind(MetricWrapperBase, "labels", _itself)
    _rebind(Counter, "inc", _nothing)
    _rebind(Histogram, "observe", _nothing)
    for name in ("inc", "dec", "set", "set_function"):
        _rebind(Gauge, name, _nothing)
    _rebind(system_metrics.SystemMetrics, "run", _nobody)
    _rebind(logs, "configure", _no_logs)


def _itself(metric: Any, *_: Any) -> Any:
    """Any labels: it counts nothing under all of them."""
    return metric


def _nothing(*_: Any, **__: Any) -> None:
    """Count nothing."""


async def _nobody(*_: Any) -> None:
    """Ask nobody."""


def _no_logs(*_: Any) -> None:
    import structlog

    logging.disable(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


def _rebind(owner: object, name: str, new: object) -> None:
    assert hasattr(owner, name), f"{owner} has no {name} any more"
    setattr(owner, name, new)


try:
    silence()
except Exception as failure:  # of these Python would only print a line, and start all the same
    raise SystemExit(f"bench/silent does not fit this checkout: {failure!r}") from failure
