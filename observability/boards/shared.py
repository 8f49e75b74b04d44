"""Queries and panels that several boards need.

Invariant: a panel that stands on two boards is said once.
"""

from collections.abc import Mapping

from observability.panels import Panel, Unit, above

QUANTILES = (0.5, 0.95, 0.99)


def quantiles(bucket: str, by: str = "") -> Mapping[str, str]:
    """Median, p95 and p99 of a histogram's series `bucket`, one line for each value of the label `by`."""
    legend = f"{{{{{by}}}}} " if by else ""
    labels = f"le, {by}" if by else "le"
    return {
        f"{legend}p{quantile * 100:g}": (
            f"histogram_quantile({quantile}, sum by ({labels}) (rate({bucket}[$__rate_interval])))"
        )
        for quantile in QUANTILES
    }


def burn(level: str, alert: str) -> Panel:
    """How fast the error budget of a service level burns."""
    return Panel(
        "Error budget burn rate",
        "How many times as fast as 30 days allow the error budget of 99.9 % burns: 1 uses it up in a month. "
        "14.4 over an hour is critical.",
        Unit.COUNT,
        {f"over {window}": f"service_level:{level}_bad:ratio_{window} / 0.001" for window in ("5m", "1h", "6h")},
        above(1, 14.4),
        (f"{alert}Fast", f"{alert}Slowly"),
    )


def breakers(breaker: str) -> Panel:
    """The state of a dependency's breaker in each process."""
    return Panel(
        f"Breaker: {breaker}",
        "0 asks freely, 1 sends one probe, 2 leaves the dependency alone for a moment. Round one that is away "
        "it is 1 and 2 in turn.",
        Unit.COUNT,
        {"{{service}} {{instance}}": f'max by (service, instance) (breaker_state{{breaker="{breaker}"}})'},
        (("green", None), ("red", 1)),
        ("BreakerOpen",),
        most=2,
    )


def reached(dependency: str) -> Panel:
    """Whether each process reaches a dependency."""
    return Panel(
        f"Dependency up: {dependency}",
        "1 while the dependency answers the process, asked each second; what /ready rests on.",
        Unit.COUNT,
        {"{{service}} {{instance}}": f'min by (service, instance) (dependency_up{{dependency="{dependency}"}})'},
        (("red", None), ("green", 1)),
        ("DependencyDown",),
        most=1,
    )
