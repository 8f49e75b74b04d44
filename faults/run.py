"""Plays scenarios, one line a run: load on, fault in, mend, settle, check.

    python -m faults.run                       each scenario once
    ONLY=3 RUNS=30 python -m faults.run        one row, thirty seeds; ONLY takes rows and names, comma-separated
    SHORT=1 python -m faults.run               shorter outages and the short load, as CI runs it
    SEED=7 ONLY=credit-after-commit python …   the run of that seed again
    RECORD=1 python -m faults.run              results go to faults/results.jsonl and docs/reliability.md

Neighbours: `faults.scenario` says what a run is, `faults.checker` decides, `faults.results` keeps the outcome.
Invariant: a rig that showed a violation is not used again, and its folder is kept and named.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Final

from faults import results
from faults.checker.check import Checker
from faults.checker.reading import baseline
from faults.checker.watch import Watch
from faults.journal import Journal
from faults.results import Result
from faults.rig import Rig
from faults.scenario import NotRun, Run, Scenario, Spoilt, Stage, every
from prequal.local.postgres import _binary

FOLDER: Final = Path(".faults")
RUNS_A_RIG: Final = 40
"""Then a new one: its tables, topics and journal grow with each run, and with them the checker's work."""


@dataclass
class Campaign:
    """What is to be played.

    Attributes:
        scenarios: which.
        runs: how often each.
        seed: of the first run; the next ones have the following numbers.
        short: with shorter outages and the short load.
        record: whether the results go into the committed file.
        watch: is given each run before it is played.
    """

    scenarios: Sequence[Scenario]
    runs: int = 1
    seed: int = 1
    short: bool = False
    record: bool = False
    folder: Path = FOLDER
    watch: Callable[[Run], None] | None = None
    results: list[Result] = field(default_factory=list)

    def play(self) -> bool:
        """Play everything; whether all that ran was clean."""
        with ExitStack() as shared:
            stage: Stage | None = None
            for played in self.scenarios:
                for seed in range(self.seed, self.seed + self.runs):
                    if played.own_rig or played.opens_rig is not Rig:
                        with self._stage(played) as own:
                            self._keep(self._play(played, own, seed))
                        continue
                    if stage is None or stage.runs >= RUNS_A_RIG:
                        shared.close()
                        stage = shared.enter_context(self._stage(played))
                    result = self._play(played, stage, seed)
                    self._keep(result)
                    if result.violations:
                        shared.close()
                        stage = None
        return not any(result.violations for result in self.results)

    @contextmanager
    def _stage(self, played: Scenario) -> Iterator[Stage]:
        """A rig in a folder of its own, which is kept when a run on it was violated."""
        folder = self.folder / f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{played.name}-{os.getpid()}"
        folder.mkdir(parents=True, mode=0o700)
        with ExitStack() as stack:
            stack.callback(self._clear, folder)
            rig = stack.enter_context(played.opens_rig(folder))
            journal = stack.enter_context(Journal(folder / "journal.jsonl"))
            checker = Checker(rig.system.folder, journal.path)
            journal.write(*baseline(rig.system))
            stack.enter_context(Watch(rig.database_url, journal))
            yield Stage(rig, journal, checker)

    def _clear(self, folder: Path) -> None:
        if not (folder / "violated").exists():
            shutil.rmtree(folder, ignore_errors=True)

    def _play(self, played: Scenario, stage: Stage, seed: int) -> Result:
        began = time.monotonic()
        stage.runs += 1
        run = Run(played, stage, seed, short=self.short)
        not_run, violations = "", []
        if self.watch is not None:
            self.watch(run)
        try:
            played.act(run)
            if not run.settled:
                run.settle()
            violations = [f"row {played.row}: {words}" for words in run.unmet] + _verdict(run)
        except (NotRun, Spoilt) as reason:
            not_run = str(reason)
        except Exception as failure:
            traceback.print_exc()
            violations = [*run.unmet, f"the run itself failed: {type(failure).__name__}: {failure}"]
        finally:
            with suppress(Exception):
                run.seen.end()
        if violations:
            self._keep_evidence(stage, violations)
        return Result(
            date=f"{datetime.now(UTC):%Y-%m-%d}",
            revision=revision(),
            row=played.row,
            name=played.name,
            seed=seed,
            volume=f"{run.volume.count} at {run.volume.rate:g}/s",
            outage_seconds=run.outage_seconds,
            seconds=round(time.monotonic() - began, 1),
            accepted=len(run.seen.accepted),
            recovery_seconds=run.recovery_seconds,
            violations=tuple(violations),
            not_run=not_run,
        )

    def _keep_evidence(self, stage: Stage, violations: Sequence[str]) -> None:
        _keep_evidence(stage, violations)

    def _keep(self, result: Result) -> None:
        self.results.append(result)
        print(result.line(), flush=True)
        if self.record:
            results.append(result)
            results.write()


def _verdict(run: Run) -> list[str]:
    return [str(each) for each in run.checker.check(run.rig.system)]


def _keep_evidence(stage: Stage, violations: Sequence[str]) -> None:
    """Leave beside the journal and the logs what the tables hold, and say where."""
    folder = stage.rig.folder
    (folder / "violated").write_text("\n".join(violations) + "\n")
    with (folder / "tables.sql").open("wb") as dump, suppress(OSError):
        subprocess.run([_binary("pg_dump"), stage.rig.database_url], stdout=dump, timeout=60, check=False)
    print(f"        the evidence is in {folder}", flush=True)


def revision() -> str:
    """The checkout's, short; with `+` when it was changed since."""
    described = subprocess.run(
        ["git", "describe", "--always", "--dirty=+", "--abbrev=9"],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parent,
        check=False,
    )
    return described.stdout.strip() or "unknown"


def chosen(only: str) -> list[Scenario]:
    """The scenarios that `only` names, by row or by name, all when it names none.

    Raises:
        SystemExit: there is no such scenario.
    """
    words = [word.strip() for word in only.split(",") if word.strip()]
    scenarios = every()
    found = [each for each in scenarios if not words or str(each.row) in words or each.name in words]
    known = {str(each.row) for each in scenarios} | {each.name for each in scenarios}
    if unknown := [word for word in words if word not in known]:
        names = ", ".join(f"{each.row} {each.name}" for each in scenarios)
        raise SystemExit(f"No scenario {', '.join(unknown)}. There are: {names}")
    return found


def main() -> None:
    """Play what the environment asks for; exit code 1 when a run was not clean, 2 when it asks for nonsense."""
    signal.signal(signal.SIGTERM, interrupted)
    campaign = Campaign(
        chosen(os.environ.get("ONLY", "")),
        runs=_number("RUNS", 1),
        seed=_number("SEED", 1),
        short=bool(os.environ.get("SHORT")),
        record=bool(os.environ.get("RECORD")),
    )
    clean = campaign.play()
    ran = [result for result in campaign.results if not result.not_run]
    violated = [result for result in ran if result.violations]
    print(f"{len(ran)} runs, {len(violated)} violated, {len(campaign.results) - len(ran)} not run")
    sys.exit(0 if clean else 1)


def _number(name: str, default: int) -> int:
    text = os.environ.get(name) or str(default)
    if not text.isdecimal() or int(text) < 1:
        print(f"{name} must be a whole number from 1")
        raise SystemExit(2)
    return int(text)


def interrupted(*_: int | FrameType | None) -> None:
    """End as Ctrl-C does, and leave nothing running."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
