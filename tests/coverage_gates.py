"""The coverage gates as a pytest plugin: `pytest -n 4 -p tests.coverage_gates` measures the suite and checks them.

Invariant: each gate is counted as a test of the session, so pytest's last line cannot say "passed" over a missed one.
"""

import os
import warnings
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from uuid import uuid4

import psutil
import pytest
from coverage import Coverage
from coverage.exceptions import CoverageWarning, NoDataError

from harness.waiting import eventually

SETTINGS = Path(__file__).parents[1] / "pyproject.toml"


@dataclass(frozen=True)
class Gate:
    """How much of some files the tests must run through: lines and branches, in percent."""

    name: str
    least_percent: float
    files: tuple[str, ...]


GATES = (
    Gate("overall", 90, ("src/prequal/*",)),
    Gate("domain", 100, ("src/prequal/domain/*",)),
    Gate("encryption", 100, ("src/prequal/security/*", "src/prequal/postgres/key_checks.py")),
    Gate("outbox", 100, ("src/prequal/messaging/outbox.py", "src/prequal/publisher/queries.py")),
    Gate("inbox", 100, ("src/prequal/messaging/inbox.py",)),
)


SESSION = "COVERAGE_GATES_SESSION"
"""The variable by which every process that is measured for this session is known."""
END_SECONDS = 30.0


def _is_measured(process: psutil.Process) -> bool:
    """Whether it writes what it measured for this session when it ends."""
    try:
        return process.pid != os.getpid() and process.environ().get(SESSION) == os.environ[SESSION]
    except psutil.Error:  # it has ended, or is somebody else's
        return False


class Gates:
    """Measures the workers of a session and whatever they start, and reports on each gate."""

    def __init__(self) -> None:
        self._coverage = Coverage(config_file=str(SETTINGS))
        self._lines: list[str] = []

    def begin(self) -> None:
        """Forget earlier measurements, and have every Python process that starts from here on measured."""
        self._coverage.erase()
        os.environ |= {"COVERAGE_PROCESS_START": str(SETTINGS), SESSION: uuid4().hex}

    @pytest.hookimpl(trylast=True)  # once the workers have ended
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        # What a worker has started may end after it, and writes what it measured then.
        eventually(lambda: not any(map(_is_measured, psutil.process_iter())), within=END_SECONDS)
        # A process that a test killed while it wrote leaves a file that nobody can read: shown among the warnings.
        with warnings.catch_warnings(action="default", category=CoverageWarning):
            self._coverage.combine()
        for report in map(self._checked, GATES):
            session.config.hook.pytest_runtest_logreport(report=report)
            if report.failed:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        terminalreporter.section("coverage")
        for line in self._lines:
            terminalreporter.write_line(line)

    def _checked(self, gate: Gate) -> pytest.TestReport:
        percent, table = self._measured(gate)
        missed = percent < gate.least_percent
        self._lines.append(f"{gate.name:<12}{percent:7.2f} % of at least {gate.least_percent:g} %")
        return pytest.TestReport(
            nodeid=f"coverage::{gate.name}",
            location=(SETTINGS.name, None, gate.name),
            keywords={},
            outcome="failed" if missed else "passed",
            longrepr=f"{percent:.2f} % is less than {gate.least_percent:g} %\n{table}" if missed else None,
            when="call",
        )

    def _measured(self, gate: Gate) -> tuple[float, str]:
        """The percentage, and the table of what was not run."""
        table = StringIO()
        try:
            return self._coverage.report(include=[*gate.files], file=table), table.getvalue()
        except NoDataError:
            return 0.0, "nothing was measured"


def pytest_configure(config: pytest.Config) -> None:
    """Measure the workers; the process that hands out the tests runs none of them."""
    if hasattr(config, "workerinput"):
        return
    if not getattr(config.option, "numprocesses", None):
        raise pytest.UsageError("coverage is measured in workers: give their number with -n")
    gates = Gates()
    gates.begin()
    config.pluginmanager.register(gates, "coverage-gates")
