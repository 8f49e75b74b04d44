"""What a soak's samples say: each series, and whether it levels off.

Invariant: what grows with every decision by design (tables that keep rows, Kafka's log) is judged by what a decision
adds to it, a table that is emptied again by its size, and what a vacuum takes away by its share of the rows.
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

Sample: TypeAlias = Mapping[str, Any]
"""`at` in seconds, `decided` so far, and by the name of what was looked at numbers by process or table."""
Points: TypeAlias = Sequence[tuple[float, float]]
"""Seconds, and the value then."""

MOST_RISE: Final = 0.05
"""Over the last third, of its level there: more is no level."""
AS_BEFORE: Final = 1.05
"""What rises and falls may be as high in the last third as it was before, and so much more."""
EMPTIED: Final = frozenset({"outbox_events", "outbox_parked"})
"""Tables whose rows leave again."""
FEW_ROWS: Final = 10_000
"""A table with fewer is taken to have so many, for a share of them: a queue is nearly empty."""


@dataclass(frozen=True)
class Figure:
    """One kind of series.

    Attributes:
        name: what is shown.
        of: where it stands in a sample.
        slack: a rise over the last third that is none.
        least: a series that stays under it in a sample is left out.
        over: what its growth, or its value, is divided by: nothing, decisions, or the live rows.
        unit: what a value is divided by.
        only_emptied: whether it is of the tables alone that are emptied again, or of all but these; None: of all.
    """

    name: str
    of: str
    slack: float
    least: float = 0.0
    over: str = ""
    unit: float = 1.0
    only_emptied: bool | None = None

    def series(self, samples: Sequence[Sample]) -> dict[str, Points]:
        """Each series by its name, those with the highest values at the end first."""
        names = {name for sample in samples for name, value in sample[self.of].items() if value >= self.least}
        names = {name for name in names if self.only_emptied in (None, name in EMPTIED)}
        found = {name: self._points(samples, name) for name in sorted(names)}
        return dict(sorted(found.items(), key=lambda each: -each[1][-1][1]))

    def _points(self, samples: Sequence[Sample], name: str) -> Points:
        values = [(sample, sample[self.of].get(name, 0)) for sample in samples]
        if self.over == "rows":
            return [(sample["at"], dead / max(sample["rows"].get(name, 0), FEW_ROWS)) for sample, dead in values]
        if self.over == "decisions":
            first, began = values[0][1], samples[0]["decided"]
            grown = [(sample["at"], value - first, sample["decided"] - began) for sample, value in values]
            return [(at, more / decided) for at, more, decided in grown if decided]
        return [(sample["at"], value / self.unit) for sample, value in values]


FIGURES: Final = (
    Figure("memory, MiB", "memory", slack=2.0),
    Figure("descriptors", "descriptors", slack=2.0),
    Figure("dead rows a live one", "dead rows", slack=0.01, least=1_000, over="rows"),
    Figure("tables, bytes a decision", "tables", slack=10.0, least=2**20, over="decisions", only_emptied=False),
    Figure("indexes, bytes a decision", "indexes", slack=10.0, least=2**20, over="decisions", only_emptied=False),
    Figure("emptied tables, MiB", "tables", slack=1.0, unit=2**20, only_emptied=True),
    Figure("their indexes, MiB", "indexes", slack=1.0, unit=2**20, only_emptied=True),
    Figure("Kafka's log, bytes a decision", "log", slack=10.0, over="decisions"),
)


@dataclass(frozen=True)
class Level:
    """What the last third of a series says.

    Attributes:
        level: its mean.
        rise: of the straight line through it, from its begin to its end.
        is_as_before: whether it is no higher than the series had been.
    """

    level: float
    rise: float
    is_as_before: bool

    @classmethod
    def of(cls, points: Points) -> "Level":
        """That of a series; of one with a few points all of them count."""
        began, ended = points[0][0], points[-1][0]
        border = ended - (ended - began) / 3
        last = [point for point in points if point[0] >= border]
        if len(last) < 2:
            last = [*points]
        values = [value for _, value in last]
        before = [value for at, value in points if at < border] or values
        times = [at for at, _ in last]
        slope = statistics.linear_regression(times, values).slope if times[-1] > times[0] else 0.0
        return cls(statistics.fmean(values), slope * (times[-1] - times[0]), max(values) <= AS_BEFORE * max(before))

    def is_reached(self, figure: Figure) -> bool:
        """Whether the series levels off, or, where it falls again and again, gets no higher."""
        rises = self.rise > max(figure.slack, MOST_RISE * abs(self.level))
        return not rises or (figure.over == "rows" and self.is_as_before)
