"""Every rule by promtool: it is valid, it fires when it should, and it is silent when it should.

The cases are in cases.yml; each becomes a unit test of promtool's own.
"""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from prequal.core.topology import Service
from prequal.local.prometheus import SCRAPED, configuration
from prequal.telemetry import metrics
from prequal.telemetry.shown import SHOWN

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "observability/rules").glob("*.yml"))
GROUPS: list[dict[str, Any]] = [
    group for file in FILES for group in yaml.safe_load(file.read_text(encoding="utf-8"))["groups"]
]
RULES: dict[str, Any] = {rule["alert"]: rule for group in GROUPS for rule in group["rules"] if "alert" in rule}
CASES: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("cases.yml").read_text(encoding="utf-8"))
EACH = [
    pytest.param(alert, case, id=f"{alert}-{kind}-{case['because']}")
    for alert, kinds in CASES.items()
    for kind, cases in kinds.items()
    for case in cases
]
OF_PROMETHEUS = {"up", "process_start_time_seconds"}
OF_KUBERNETES = {"kubelet_volume_stats_used_bytes", "kubelet_volume_stats_capacity_bytes"}
OF_THE_SCRAPE = {"job", "instance", "service"}


def promtool(*words: str | Path) -> None:
    done = subprocess.run(["promtool", *map(str, words)], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def groups_of(alert: str) -> list[dict[str, Any]]:
    """The alert and what it is computed from: promtool computes every rule that it is given at every step of a case."""
    expression = RULES[alert]["expr"]
    needed = [
        {
            **group,
            "rules": [
                rule
                for rule in group["rules"]
                if rule.get("alert") == alert or rule.get("record", "none") in expression
            ],
        }
        for group in GROUPS
    ]
    return [group for group in needed if group["rules"]]


def test_promtool_takes_the_rules() -> None:
    promtool("check", "rules", "--lint-fatal", *FILES)


def test_promtool_takes_the_configuration() -> None:
    promtool("check", "config", ROOT / "observability/prometheus.yml")


def test_promtool_takes_the_configuration_for_other_ports(tmp_path: Path) -> None:
    file = tmp_path / "prometheus.yml"
    file.write_text(configuration({name: 20_000 + number for number, name in enumerate(SCRAPED)}))

    promtool("check", "config", file)
    targets = {job["job_name"]: job["static_configs"] for job in yaml.safe_load(file.read_text())["scrape_configs"]}
    assert targets == {name: [{"targets": [f"127.0.0.1:{20_000 + number}"]}] for number, name in enumerate(Service)}


def test_every_alert_has_a_case_in_which_it_fires_and_one_in_which_it_is_silent() -> None:
    kinds = {alert: {kind: bool(cases) for kind, cases in kinds.items()} for alert, kinds in CASES.items()}
    assert kinds == {alert: {"fires": True, "silent": True} for alert in RULES}


@pytest.mark.parametrize(("kind", "speaks"), [("fires", True), ("silent", False)])
def test_case_says_something_just_when_its_alert_fires(kind: str, speaks: bool) -> None:
    assert {"summary" in case for kinds in CASES.values() for case in kinds[kind]} == {speaks}


@pytest.mark.parametrize("alert", RULES)
def test_every_number_in_a_text_is_rounded(alert: str) -> None:
    rounded = r'printf "%\.(0f|2g)" \$value|if lt \$value 10\.0|\$value \| humanizeDuration'

    summary = RULES[alert]["annotations"]["summary"]
    uses = re.findall(r"{{([^}]*\$value[^}]*)}}", summary)

    assert summary.count("%.2g") == summary.count('{{ if lt $value 10.0 }}{{ printf "%.2g"')  # or 150 is 1.5e+02
    assert [use for use in uses if not re.fullmatch(rounded, use.strip())] == []


@pytest.mark.parametrize("alert", [name for name, rule in RULES.items() if "for" in rule])
def test_alert_that_waits_is_seen_waiting(alert: str) -> None:
    assert any("not over" in case["because"] for case in CASES[alert]["silent"])


@pytest.mark.parametrize(("alert", "case"), EACH)
def test_no_value_of_a_series_is_read_as_hexadecimal(alert: str, case: dict[str, Any]) -> None:
    """`0x5` is the number five to promtool, and not zero five times more: that is `0+0x5`."""
    assert [values for values in map(str, case["series"].values()) if re.search(r"(?<![\w+.])0x", values)] == []


@pytest.mark.parametrize(("alert", "case"), EACH)
def test_alert_fires_or_is_silent(alert: str, case: dict[str, Any], tmp_path: Path) -> None:
    rule, fired = RULES[alert], []
    if "summary" in case:
        annotations = {
            **rule["annotations"],
            "summary": case["summary"],
            "runbook_url": f"https://wiki.example/runbook#{alert.lower()}",
        }
        fired = [{"exp_labels": {**rule["labels"], **case.get("labels", {})}, "exp_annotations": annotations}]
    pace = case.get("interval", "1m")
    unit_test = {
        "interval": pace,
        "external_labels": {"runbook": "https://wiki.example/runbook"},
        "input_series": [{"series": name, "values": str(values)} for name, values in case["series"].items()],
        "alert_rule_test": [{"eval_time": case["at"], "alertname": alert, "exp_alerts": fired}],
    }
    file, rules = tmp_path / "test.yml", tmp_path / "rules.yml"
    rules.write_text(yaml.safe_dump({"groups": groups_of(alert)}))
    tests = {"rule_files": [str(rules)], "evaluation_interval": pace, "tests": [unit_test]}
    file.write_text(yaml.safe_dump(tests))

    promtool("test", "rules", file)


def test_series_of_the_cases_are_such_as_our_processes_show() -> None:
    families = {
        family.name: set(metric._labelnames)
        for metric in metrics.COLLECTED + tuple(metric for shown in SHOWN.values() for metric in shown)
        for family in metric.collect()
    }
    shown = [
        series for kinds in CASES.values() for cases in kinds.values() for case in cases for series in case["series"]
    ]
    for series in shown:
        name, _, labels = series.partition("{")
        if name in OF_PROMETHEUS | OF_KUBERNETES:
            continue
        family = re.sub(r"_(total|bucket|count)$", "", name)
        assert family in families, name
        assert set(re.findall(r"(\w+)=", labels)) <= families[family] | OF_THE_SCRAPE | {"le"}, series
