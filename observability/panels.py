"""What a board is made of: rows of panels, each a few words, a unit, bounds and queries.

Invariant: a panel has a description, a unit and thresholds; one that an alert watches leads to its runbook entry.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import count
from typing import Any, TypeAlias

from grafana_foundation_sdk.builders import bargauge, common, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as common_models
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

SOURCE = models.DataSourceRef(type_val="prometheus", uid="prometheus")
RUNBOOK = "${runbook}#"
"""Where docs/runbook.md is read: a variable of every board, so that each organisation names its own place."""
HEIGHT = 8
WHOLE_WIDTH = 24


class Unit(StrEnum):
    """Grafana's names of units."""

    SECONDS = "s"
    SHARE = "percentunit"
    COUNT = "short"
    PER_SECOND = "ops"
    REQUESTS_PER_SECOND = "reqps"
    RUPEES = "currencyINR"
    BYTES = "bytes"
    HOURS = "h"
    DAYS = "d"


class Kind(StrEnum):
    """How a panel shows its queries."""

    LINES = "lines over time"
    NUMBER = "the last value as a number"
    BARS = "a bar for each series"
    BANDS = "a bar for each band of a histogram"


Steps: TypeAlias = Sequence[tuple[str, float | None]]

ALWAYS_WELL: Steps = (("green", None),)


def above(amber: float, red: float) -> Steps:
    """More is worse."""
    return (("green", None), ("orange", amber), ("red", red))


def below(amber: float, red: float) -> Steps:
    """Less is worse."""
    return (("red", None), ("orange", red), ("green", amber))


@dataclass(frozen=True)
class Panel:
    """One panel: `queries` by the legend of their series, in which `{{label}}` stands for a label's value."""

    title: str
    description: str
    unit: Unit
    queries: Mapping[str, str]
    steps: Steps = ALWAYS_WELL
    alerts: Sequence[str] = ()
    kind: Kind = Kind.LINES
    width: int = 8
    most: float | None = None


@dataclass(frozen=True)
class Row:
    """One of the golden signals, and its panels."""

    title: str
    panels: Sequence[Panel]


@dataclass(frozen=True)
class Board:
    """One page."""

    uid: str
    title: str
    description: str
    rows: Sequence[Row]
    since: str = "now-1h"
    tags: Sequence[str] = field(default=("prequal",))

    def panels(self) -> list[Panel]:
        """All of them, in order."""
        return [panel for row in self.rows for panel in row.panels]


def board_json(board: Board) -> str:
    """The board as Grafana provisions it."""
    built = (
        dashboard.Dashboard(board.title)
        .uid(board.uid)
        .description(board.description)
        .tags(list(board.tags))
        .time(board.since, "now")
        .refresh("10s")
        .timezone("utc")
        .readonly()
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .link(_link("The four boards").type(models.DashboardLinkType.DASHBOARDS).tags(["prequal"]).keep_time(True))
        .link(_link("Runbook").url("${runbook}"))
        .with_variable(dashboard.TextBoxVariable("runbook").label("Runbook at").default_value("docs/runbook.md"))
    )
    numbers = count(1)
    for row in board.rows:
        built.with_row(dashboard.Row(row.title).id(next(numbers)))
        for panel in row.panels:
            built.with_panel(_panel(panel, next(numbers)))
    return json.dumps(built.build(), cls=JSONEncoder, sort_keys=True, indent=2, ensure_ascii=False) + "\n"


def _panel(panel: Panel, number: int) -> Any:
    built = _shape(panel)
    (
        built.id(number)
        .title(panel.title)
        .description(panel.description)
        .datasource(SOURCE)
        .unit(panel.unit)
        .span(panel.width)
        .height(HEIGHT)
        .min(0)
        .thresholds(_thresholds(panel.steps))
        .links([_runbook(alert) for alert in panel.alerts])
    )
    if panel.most is not None:
        built.max(panel.most)
    for letter, (legend, expression) in zip("ABCDEFGH", panel.queries.items(), strict=False):
        built.with_target(_query(panel.kind, letter, legend, expression))
    return built


def _shape(panel: Panel) -> Any:
    if panel.kind is Kind.LINES:
        modes = common_models.GraphThresholdsStyleMode
        marked = modes.DASHED if len(panel.steps) > 1 else modes.OFF
        return timeseries.Panel().fill_opacity(8).thresholds_style(common.GraphThresholdsStyleConfig().mode(marked))
    reduced = common.ReduceDataOptions().calcs(["lastNotNull"]).values(False)
    if panel.kind is Kind.NUMBER:
        return stat.Panel().reduce_options(reduced).graph_mode(common_models.BigValueGraphMode.NONE)
    return bargauge.Panel().reduce_options(reduced).display_mode(common_models.BarGaugeDisplayMode.BASIC)


def _query(kind: Kind, letter: str, legend: str, expression: str) -> prometheus.Dataquery:
    query = prometheus.Dataquery().ref_id(letter).expr(expression).legend_format(legend).datasource(SOURCE)
    if kind is Kind.LINES:
        return query.range()
    return query.instant().format(PromQueryFormat.HEATMAP if kind is Kind.BANDS else PromQueryFormat.TIME_SERIES)


def _thresholds(steps: Steps) -> dashboard.ThresholdsConfig:
    marks = [models.Threshold(color=colour, value=value) for colour, value in steps]
    return dashboard.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(marks)


def _runbook(alert: str) -> dashboard.DashboardLink:
    return _link(f"Runbook: {alert}").url(RUNBOOK + alert.lower())


def _link(title: str) -> dashboard.DashboardLink:
    return dashboard.DashboardLink(title).type(models.DashboardLinkType.LINK).target_blank(True)
