"""A day in the life of a watched system, and what the boards show of it."""

import math
import re
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from harness.own_system import OwnSystem
from observability.boards import BOARDS
from observability.panels import Kind, Unit

from .conftest import Watched

PANELS = {f"{board.uid}: {panel.title}": panel for board in BOARDS for panel in board.panels()}
QUERIES = [(name, legend) for name, panel in PANELS.items() for legend in panel.queries]
"""Every query of every board, by its panel's name and its legend there."""

RATE_INTERVAL = "10s"
COUNTED_A_SECOND = (Unit.PER_SECOND, Unit.REQUESTS_PER_SECOND)
COUNTER = re.compile(r"\b(\w+)(?=\{[^}]*\}\[|\[)")


@dataclass(frozen=True)
class Day:
    """What happened to the system.

    Attributes:
        since: a moment before anything at all was counted.
        transactions: what the database had counted before, by outcome.
        posts: what the clients were answered when they posted, by status.
        reads: the same when they asked for a status.
    """

    watched: Watched
    since: float
    transactions: dict[str, float] = field(default_factory=dict)
    posts: Counter[str] = field(default_factory=Counter)
    reads: Counter[str] = field(default_factory=Counter)

    @property
    def rig(self) -> OwnSystem:
        """The system."""
        return self.watched.rig

    def drawn(self, name: str, legend: str) -> list[float]:
        """The numbers that Grafana would draw of a query over the day."""
        panel, now = PANELS[name], time.time()
        query = _filled_in(panel.queries[legend], RATE_INTERVAL, now - self.since)
        if panel.kind is Kind.LINES:
            return self.watched.prometheus.drawn(query, self.since)
        return list(self.watched.prometheus.ask(query).values())

    def shown(self, name: str, legend: str) -> dict[str, float]:
        """The latest numbers of a query, by what the panel calls their series.

        What is counted is asked over the whole day, which ends with the last scrape of its process, so that
        nothing is extrapolated; of two that count, what is extrapolated of the other is more, never less. What is
        counted a second is given as what it comes to in that time.
        """
        query = PANELS[name].queries[legend]
        found = [self._shown_at(at, name, legend) for at in self._last_scrapes(query)]
        return {series: min(each.get(series, math.inf) for each in found) for series in {*found[0]}.union(*found)}

    def _shown_at(self, at: float, name: str, legend: str) -> dict[str, float]:
        panel = PANELS[name]
        query, seconds = panel.queries[legend], round(at - self.since)
        times = seconds if panel.unit in COUNTED_A_SECOND and "[$__" in query else 1
        found = self.watched.prometheus.ask(_filled_in(query, f"{seconds}s", seconds), at)
        return {_called(legend, dict(labels)): times * number for labels, number in found.items()}

    def _last_scrapes(self, query: str) -> list[float]:
        """When those processes were last asked that have counted what the query is about; now for what is no count."""
        counter = COUNTER.search(query)
        if counter is None:
            return [time.time()]
        counted = self.watched.prometheus.ask(f"max by (instance) (timestamp({counter[1]}) and {counter[1]} > 0)")
        return list(counted.values()) or [time.time()]


def _filled_in(query: str, rate_interval: str, seconds: float) -> str:
    return query.replace("$__rate_interval", rate_interval).replace("$__range", f"{round(seconds)}s")


def _called(legend: str, labels: Mapping[str, str]) -> str:
    return re.sub(r"\{\{(\w+)\}\}", lambda label: labels[label[1]], legend)
