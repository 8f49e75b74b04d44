"""The rules of the two service levels, written out: each ratio over seven windows, and four alerts that burn.

Invariant: an application counts once in each promise, and an outage in which nothing is counted burns all the same.
"""

from dataclasses import dataclass
from typing import Any

import yaml

OBJECTIVE = 0.999
WINDOWS = ("5m", "30m", "1h", "2h", "6h", "1d", "3d")
FAST = ((14.4, "1h", "5m"), (6.0, "6h", "30m"))
SLOW = ((3.0, "1d", "2h"), (1.0, "3d", "6h"))
"""So many times as fast as the budget of 30 days allows, over the long and still over the short window (Site
Reliability Workbook, chapter 5, table 5-8): 2 % of the budget in an hour, 5 % in six; 10 % in a day or in three."""

PERCENT = '{{ if lt $value 10.0 }}{{ printf "%.2g" $value }}{{ else }}{{ printf "%.0f" $value }}{{ end }} %'
"""Two digits at least: the slow alerts speak of tenths of a percent."""

HEAD = """\
# The two promises, as ratios of what was bad, and the alerts that watch how fast their budgets burn.
# Written by `make documents` from observability/service_levels.py; this file is not edited by hand.
"""


@dataclass(frozen=True)
class ServiceLevel:
    """One promise: what of it was bad, in PromQL over the window that stands for `{window}`."""

    name: str
    alert: str
    promise: str
    impact: str
    bad_ratio: str


ACCEPTANCE = ServiceLevel(
    name="acceptance",
    alert="AcceptanceBudgetBurns",
    promise="valid POSTs answered within 250 ms",
    impact="Applications are refused or taken slowly.",
    # Valid is what was answered 202 or 5xx: what the caller got wrong (4xx) is not held against us.
    bad_ratio="""\
1 - sum(rate(http_request_duration_seconds_bucket{{route="/applications", outcome="ok", le="0.25"}}[{window}]))
  / sum(rate(http_request_duration_seconds_count{{route="/applications", outcome=~"ok|failed"}}[{window}]))
""",
)

DECISION = ServiceLevel(
    name="decision",
    alert="DecisionBudgetBurns",
    promise="applications decided within 2 s",
    impact="Applicants wait for their decision.",
    # What has waited for over 2 s is bad now, and once decided it is bad as a late decision: never both. With nothing
    # left that could decide, the overdue alone still speak; a look of the publisher that fails does not hush them.
    bad_ratio="""\
(
  (sum(increase(decision_duration_seconds_count[{window}])) or vector(0))
    - (sum(increase(decision_duration_seconds_bucket{{le="2.0"}}[{window}])) or vector(0))
    + (max(last_over_time(applications_overdue[1m])) or vector(0))
) / (
  (sum(increase(decision_duration_seconds_count[{window}])) or vector(0))
    + (max(last_over_time(applications_overdue[1m])) or vector(0))
)
""",
)


def rules() -> str:
    """`rules/service_levels.yml`, whole."""
    groups = [_group(level) for level in (ACCEPTANCE, DECISION)]
    return HEAD + yaml.dump({"groups": groups}, Dumper=_Dumper, sort_keys=False, width=1000)


def _group(level: ServiceLevel) -> dict[str, Any]:
    ratios = [{"record": _record(level, window), "expr": level.bad_ratio.format(window=window)} for window in WINDOWS]
    return {
        "name": f"service-level-{level.name}",
        "rules": [*ratios, _alert(level, "Fast", FAST, "critical"), _alert(level, "Slowly", SLOW, "warning")],
    }


def _alert(level: ServiceLevel, pace: str, pairs: tuple[tuple[float, str, str], ...], severity: str) -> dict[str, Any]:
    name = f"{level.alert}{pace}"
    return {
        "alert": name,
        "expr": "100 * (\n  " + "\n  or ".join(_burns(level, *pair) for pair in pairs) + "\n)\n",
        "for": "2m",
        "labels": {"severity": severity},
        "annotations": {
            "summary": f"{PERCENT} are not {level.promise}; 99.9 % are promised.",
            "impact": level.impact,
            "runbook_url": '{{ or $externalLabels.runbook "docs/runbook.md" }}#' + name.lower(),
        },
    }


def _burns(level: ServiceLevel, times: float, long: str, short: str) -> str:
    bound = f"{times * (1 - OBJECTIVE):.4g}"
    return f"({_record(level, long)} > {bound} and {_record(level, short)} > {bound})"


def _record(level: ServiceLevel, window: str) -> str:
    return f"service_level:{level.name}_bad:ratio_{window}"


class _Dumper(yaml.SafeDumper):
    """Expressions of several lines as blocks."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)
