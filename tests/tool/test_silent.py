"""The build that the overhead of metrics and logs is measured against: it is silent, and it says so when it is not."""

import os
import subprocess
import sys
from pathlib import Path

SILENT = Path(__file__).parents[2] / "bench/silent"
TALK = """
import structlog
from prequal.telemetry import logs, metrics
logs.configure("silent", "INFO")
structlog.get_logger().error("heard")
metrics.SUBMITTED.labels("HOME").inc()
metrics.DECISION_SECONDS.observe(1)
print([sample.value for metric in (metrics.SUBMITTED, metrics.DECISION_SECONDS) for family in metric.collect()
       for sample in family.samples if not sample.name.endswith("_created")])
"""


def said(program: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    return subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)


def test_a_silent_build_counts_and_says_nothing() -> None:
    silent, usual = said(TALK, SILENT), said(TALK, Path())

    assert "heard" not in silent.stdout
    assert set(eval(silent.stdout)) == {0.0}
    assert "heard" in usual.stdout
    assert "1.0" in usual.stdout


def test_a_silent_build_that_does_not_fit_the_product_does_not_start(tmp_path: Path) -> None:
    source = (SILENT / "sitecustomize.py").read_text()
    (tmp_path / "sitecustomize.py").write_text(source.replace('"observe"', '"gone"'))

    ended = said("print('started')", tmp_path)

    assert ended.returncode != 0
    assert "started" not in ended.stdout
    assert "does not fit" in ended.stderr
