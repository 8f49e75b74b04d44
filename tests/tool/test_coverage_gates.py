"""The coverage gates: a process that was killed while it wrote what it measured takes nothing but its own part away."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
OPTIONS = f"-c {os.devnull} --rootdir=. -p no:asyncio -n 1 -W error".split()

SUITE = """
from pathlib import Path

import prequal.domain.money

def test_kills_a_process_that_is_writing():
    Path(".coverage.host.pid1.Xabcdefgh").touch()
"""


def test_data_of_a_process_that_was_killed_while_it_wrote_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "test_suite.py").write_text(SUITE)

    run = subprocess.run(
        [sys.executable, "-m", "pytest", *OPTIONS, "-p", "tests.coverage_gates", "test_suite.py"],
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if not name.startswith("COV")}
        | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'src'}"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert "overall" in run.stdout, run.stdout + run.stderr
    assert ".coverage.host.pid1.Xabcdefgh" in run.stdout
    assert run.stdout.splitlines()[-1].strip("= ").startswith("5 failed, 1 passed, 1 warning"), run.stdout
