"""Starts the systems that runs are played on, shares them among runs of the same kind, and keeps what was violated.

Invariant: a system is not used again after a run that was anything but clean, and a violated one's folder stays.
"""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Self

from faults.checker.check import Checker
from faults.checker.reading import baseline
from faults.checker.watch import Watch
from faults.scenario import NotRun, Scenario, Stage
from faults.systems import FaultSystem
from harness.journal import Journal
from prequal.local.postgres import binary

RUNS_A_RIG: Final = 40
"""Then a new one: its tables, topics and journal grow with each run, and with them the checker's work."""
VIOLATED: Final = "violated"
"""The file that says why a folder is kept."""


class Stages:
    """The stage that runs share, one at a time, and those that a single run has for itself."""

    def __init__(self, folder: Path) -> None:
        """Open every system in a folder of its own under `folder`."""
        self._folder = folder
        self._shared = ExitStack()
        self._stage: Stage | None = None
        self._kind: Callable[..., FaultSystem] = FaultSystem

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._shared.close()

    @contextmanager
    def lend(self, played: Scenario) -> Iterator[Stage]:
        """A stage for one run of a scenario; who sets `spent` is its last. Raises what opening raises."""
        if played.own_system:
            with _opened(self._folder, played) as own:
                yield own
            return
        if self._stage is None or not self._will_do(self._stage, played):
            self._stage = None
            self._shared.close()
            self._stage, self._kind = self._shared.enter_context(_opened(self._folder, played)), played.opens
        yield self._stage

    def _will_do(self, stage: Stage, played: Scenario) -> bool:
        return not stage.spent and stage.runs < RUNS_A_RIG and self._kind is played.opens


@contextmanager
def _opened(folder: Path, played: Scenario) -> Iterator[Stage]:
    """A system in a folder of its own, which is kept when it did not open or a run on it was violated."""
    own = folder / f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{played.name}-{os.getpid()}"
    own.mkdir(parents=True, mode=0o700)
    with ExitStack() as stack:
        stack.callback(_clear, own)
        try:
            stage = _built(stack, own, played)
        except NotRun:
            raise
        except Exception as failure:
            _name(own, [f"the system did not open: {failure}"])
            raise
        yield stage


def _built(stack: ExitStack, folder: Path, played: Scenario) -> Stage:
    system = stack.enter_context(played.opens(folder))
    journal = stack.enter_context(Journal(folder / "journal.jsonl"))
    checker = Checker(system.judged.folder, journal.path)
    journal.write(*baseline(system.judged))
    stack.enter_context(Watch(system.database_url, journal))
    return Stage(system, journal, checker)


def keep_evidence(stage: Stage, violations: Sequence[str]) -> None:
    """Leave beside the journal and the logs what the tables hold, and say where."""
    folder = stage.system.folder
    with (folder / "tables.sql").open("wb") as dump, suppress(OSError, subprocess.TimeoutExpired):
        subprocess.run([binary("pg_dump"), stage.system.database_url], stdout=dump, timeout=60, check=False)
    _name(folder, violations)


def _name(folder: Path, violations: Sequence[str]) -> None:
    (folder / VIOLATED).write_text("\n".join(violations) + "\n")
    print(f"        the evidence is in {folder}", flush=True)


def _clear(folder: Path) -> None:
    if not (folder / VIOLATED).exists():
        shutil.rmtree(folder, ignore_errors=True)
