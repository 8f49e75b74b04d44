"""A gauge of the whole system, whose values come from the database or the broker.

Invariant: a value that could not be read is not shown.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector


class CollectedGauge(Collector):
    """A value of the whole system, read from the database or the broker: shown while it is known, absent otherwise.

    Every publisher reads it, so that several replicas show the same: queries take the maximum.
    """

    def __init__(self, name: str, documentation: str, labels: Sequence[str] = (), *, counter: bool = False) -> None:
        self._name, self._documentation, self._labelnames = name, documentation, tuple(labels)
        self._counter = counter
        self._values: Mapping[Any, float] = {}

    def set(self, values: Mapping[Any, float] | float) -> None:
        """Show `values`, by their labels, and no others."""
        self._values = values if isinstance(values, Mapping) else {(): values}

    def clear(self) -> None:
        """Show nothing, because the value could not be read; an old one would mislead."""
        self._values = {}

    def collect(self) -> Iterable[Metric]:
        """The values as a metric family."""
        family = (CounterMetricFamily if self._counter else GaugeMetricFamily)(
            self._name, self._documentation, labels=self._labelnames
        )
        for labels, value in self._values.items():
            family.add_metric(labels, value)
        yield family
