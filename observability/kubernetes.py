"""`python -m observability.kubernetes` prints the rules and the boards as resources for `kubectl apply -f -`.

Invariant: it prints the files that Prometheus and Grafana read elsewhere, and keeps no copy of them.
"""

import sys
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
LABELS = {"app.kubernetes.io/part-of": "prequal"}


def resources() -> list[dict[str, Any]]:
    """All rules as one PrometheusRule, and a ConfigMap for each board."""
    groups = [
        group for file in sorted(HERE.glob("rules/*.yml")) for group in yaml.safe_load(file.read_text())["groups"]
    ]
    rules = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "prequal", "labels": LABELS},
        "spec": {"groups": groups},
    }
    return [rules, *(_board(file) for file in sorted(HERE.glob("dashboards/*.json")))]


def _board(file: Path) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": file.stem, "labels": LABELS | {"grafana_dashboard": "1"}},
        "data": {file.name: file.read_text()},
    }


if __name__ == "__main__":
    yaml.safe_dump_all(resources(), sys.stdout, sort_keys=False, width=1000)
