"""Which builds of Python count as optimised, and what `make` learns of one that has nothing installed."""

import subprocess
import sys
from pathlib import Path

import pytest

from prequal.core import python_build
from prequal.core.topology import Service
from prequal.telemetry.shown import Labelled


@pytest.mark.parametrize(
    ("options", "prefix", "optimized"),
    [
        ("'--prefix=/opt' '--enable-optimizations' '--with-lto'", "/opt", True),
        ("'--prefix=/usr' '--enable-shared'", "/usr", True),
        ("'--prefix=/root/.pyenv/versions/3.11.7' '--enable-shared'", "/root/.pyenv/versions/3.11.7", False),
        (None, "/opt", False),
    ],
)
def test_build_is_optimised_by_its_options_or_as_a_distributions_own(
    monkeypatch: pytest.MonkeyPatch, options: str | None, prefix: str, optimized: bool
) -> None:
    monkeypatch.setattr("sysconfig.get_config_var", lambda _: options)
    monkeypatch.setattr("sys.base_prefix", prefix)

    assert python_build.is_optimized() is optimized


def test_script_runs_on_a_bare_interpreter_and_judges_it() -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(Path(python_build.__file__))], capture_output=True, text=True, check=False
    )

    expected = python_build.is_optimized() and python_build.can_make_environments()
    assert (done.returncode, done.stderr) == (int(not expected), "")


def test_metrics_say_which_python_runs_the_process() -> None:
    metrics = Labelled(Service.PUBLISHER, "publisher").collect()
    (sample,) = (each for metric in metrics for each in metric.samples if each.name == "python_build_info")

    assert sample.labels["version"] == "{}.{}.{}".format(*sys.version_info)
    assert sample.labels["optimized"] == str(python_build.is_optimized()).lower()
