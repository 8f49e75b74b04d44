"""Plays scenarios, one line a run: load on, fault in, restore, come to rest, check.

    python -m faults.run                       each scenario once
    ONLY=3 RUNS=30 python -m faults.run        one row, thirty seeds; ONLY takes rows and names, comma-separated
    EXCEPT=1,2 python -m faults.run            each scenario once, but for these rows and names
    SHORT=1 python -m faults.run               shorter outages and the short load, as CI runs it
    SEED=7 ONLY=credit-after-commit python …   the run of that seed again
    RECORD=1 python -m faults.run              results go to faults/results.jsonl and docs/fault-runs.md
    RESUME=1 python -m faults.run              without what was clean already at this revision, in this checkout
    ALLOW_NOT_RUN=1 python -m faults.run       what this machine has not the means for is no failure
    SECONDS=180 ONLY=27 python -m faults.run   with outages of that length: here a dump of three minutes
    SHOW=1 SECONDS=120 ONLY=random-kills …     says what happens as it happens, with outages of that length

Invariant: nothing passes that was not tried. A run whose fault did not happen is played again with other seeds, and is
a failure when it never does; so is, unless it is allowed, what the machine has not the means for.
"""

import argparse
import functools
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import FrameType
from typing import Any, Final

from faults import results
from faults.results import WORDS, Result
from faults.scenario import NotRun, Run, Scenario, Spoilt, Stage, every
from faults.stages import Stages, keep_evidence

FOLDER: Final = Path(".faults")
SHOW_EVERY_SECONDS: Final = 3.0
TRIES: Final = 5
"""How often a scenario is played until its fault happens."""


@dataclass
class Campaign:
    """What is to be played.

    Attributes:
        scenarios: which.
        runs: how often each.
        seed: of the first run; the next ones have the following numbers.
        short: with shorter outages and the short load.
        record: whether the results go into the committed file.
        resume: whether runs are left out that were clean already at this revision.
        allow_not_run: whether it may pass though this machine had not the means for some of it.
        show: whether what happens is shown every few seconds.
    """

    scenarios: Sequence[Scenario]
    runs: int = 1
    seed: int = 1
    short: bool = False
    record: bool = False
    resume: bool = False
    allow_not_run: bool = False
    folder: Path = FOLDER
    show: bool = False
    results: list[Result] = field(default_factory=list)

    def play(self) -> bool:
        """Play everything; whether every run was tried in the end, and clean."""
        fine, done = True, self._done() if self.resume else set()
        with Stages(self.folder) as stages:
            for played in self.scenarios:
                spare = itertools.count(self.seed + self.runs)
                for seed in range(self.seed, self.seed + self.runs):
                    if (played.name, seed) in done:
                        continue
                    last = self._until_tried(stages, played, seed, spare)
                    fine = fine and (last.word == "clean" or bool(last.not_run and self.allow_not_run))
        return fine

    def _until_tried(self, stages: Stages, played: Scenario, seed: int, spare: Iterator[int]) -> Result:
        """Play with one seed, and when that run proved nothing with the next spare ones; how the last one ended."""
        result = self._once(stages, played, seed)
        for _ in range(TRIES - 1):
            if result.spoilt:
                result = self._once(stages, played, next(spare))
        return result

    def _once(self, stages: Stages, played: Scenario, seed: int) -> Result:
        began = time.monotonic()
        try:
            with stages.lend(played) as stage:
                result = self._play(played, stage, seed)
        except NotRun as reason:
            result = _without_rig(played, seed, began, not_run=str(reason))
        except Exception as failure:
            traceback.print_exc()
            words = f"its system failed: {type(failure).__name__}: {failure}"
            result = _without_rig(played, seed, began, violations=(words,))
        self._keep(result)
        return result

    def _play(self, played: Scenario, stage: Stage, seed: int) -> Result:
        began = time.monotonic()
        stage.runs += 1
        run = Run(played, stage, seed, short=self.short)
        not_run, spoilt, violations = "", "", []
        try:
            with _shown(run) if self.show else nullcontext():
                played.act(run)
                if not run.at_rest:
                    run.come_to_rest()
            violations = [f"row {played.row}: {words}" for words in run.unmet] + _verdict(run)
        except NotRun as reason:
            not_run = str(reason)
        except Spoilt as reason:
            spoilt = str(reason)
        except Exception as failure:
            traceback.print_exc()
            violations = [*run.unmet, f"the run itself failed: {type(failure).__name__}: {failure}"]
        finally:
            with suppress(Exception):
                run.seen.end()
        stage.spent = bool(violations or spoilt or not_run)
        if violations:
            self._keep_evidence(stage, violations)
        return _result(
            played,
            seed,
            began,
            volume=f"{run.volume.count} at {run.volume.rate:g}/s",
            outage_seconds=run.outage_seconds,
            accepted=len(run.seen.accepted),
            recovery_seconds=run.recovery_seconds,
            violations=tuple(violations),
            not_run=not_run,
            spoilt=spoilt,
        )

    def _keep_evidence(self, stage: Stage, violations: Sequence[str]) -> None:
        keep_evidence(stage, violations)

    @property
    def log(self) -> Path:
        """Every run at this revision with this load, a line each."""
        return self.folder / f"{revision()}{'-short' if self.short else ''}.jsonl"

    def _done(self) -> set[tuple[str, int]]:
        """Name and seed of the runs that were clean. Raises SystemExit when the checkout is not as committed."""
        if revision().endswith("+"):
            sys.exit("RESUME continues a campaign of one commit, and something here is not committed.")
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        results = (Result.of(json.loads(line)) for line in lines)
        return {(each.name, each.seed) for each in results if each.word == WORDS[0]}

    def _keep(self, result: Result) -> None:
        self.results.append(result)
        print(result.line(), flush=True)
        self.folder.mkdir(exist_ok=True)
        with self.log.open("a") as log:
            log.write(json.dumps(asdict(result)) + "\n")
        if self.record:
            results.append(result)
            results.write()


@contextmanager
def _shown(run: Run) -> Iterator[None]:
    """Say every few seconds what the client has seen and what was killed, for as long as the block."""
    over, began = threading.Event(), time.monotonic()

    def line() -> str:
        accepted, decided, lost = len(run.seen.accepted), len(run.seen.decided), len(run.seen.lost)
        killed = ", ".join(f"{name} {count}" for name, count in run.system.killed.items()) or "nothing"
        posts = f"{accepted} accepted, {decided} decided, {lost} posts without an answer"
        return f"{time.monotonic() - began:4.0f} s  {posts}; killed: {killed}"

    def speak() -> None:
        while not over.wait(SHOW_EVERY_SECONDS):
            print(line(), flush=True)

    speaker = threading.Thread(target=speak, daemon=True)
    speaker.start()
    try:
        yield
    finally:
        over.set()
        speaker.join()


def _verdict(run: Run) -> list[str]:
    return [str(each) for each in run.checker.check(run.system.judged)]


def _result(played: Scenario, seed: int, began: float, **ended: Any) -> Result:
    """How a run that began then has ended."""
    return Result(
        revision=revision(),
        row=played.row,
        name=played.name,
        seed=seed,
        seconds=round(time.monotonic() - began, 1),
        **ended,
    )


def _without_rig(played: Scenario, seed: int, began: float, **ended: Any) -> Result:
    """How a run ended whose system did not open, or did not close."""
    nothing = {"volume": "", "outage_seconds": 0.0, "accepted": 0, "recovery_seconds": 0.0, "violations": ()}
    return _result(played, seed, began, **(nothing | ended))


@functools.cache
def revision() -> str:
    """The last commit that touches what is tried or what tries it, short; with `+` when that is changed since."""
    tried = *(f":/{each}" for each in ("src", "harness", "faults")), *(f":!/{kept}" for kept in results.KEPT)
    change = _git("status", "--porcelain", "--", *tried)
    return (_git("log", "-1", "--abbrev=9", "--format=%h", "--", *tried) or "unknown") + ("+" if change else "")


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], capture_output=True, text=True, cwd=Path(__file__).parent, check=False)
    return done.stdout.strip()


def chosen(only: str, *, but: str = "", short: bool = False) -> list[Scenario]:
    """The scenarios that `only` names, by row or by name; when it names none all, or all that a short campaign plays.

    Args:
        only: rows and names, comma-separated.
        but: rows and names that are left out of them.
        short: whether the campaign is a short one.

    Raises:
        SystemExit: there is no such scenario; the exit code is 2.
    """
    scenarios, words = every(), _words(only)
    found = _named(scenarios, words) if words else [each for each in scenarios if not (short and each.takes_minutes)]
    left_out = _named(scenarios, _words(but))
    found = [each for each in found if each not in left_out]
    kinds = [each.opens for each in found]
    found.sort(key=lambda each: (each.own_system, kinds.index(each.opens)))  # those that share a system in a row
    return found


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _named(scenarios: Sequence[Scenario], words: Sequence[str]) -> list[Scenario]:
    known = {str(each.row) for each in scenarios} | {each.name for each in scenarios}
    if unknown := [word for word in words if word not in known]:
        names = ", ".join(f"{each.row} {each.name}" for each in scenarios)
        print(f"No scenario {', '.join(unknown)}. There are: {names}")
        raise SystemExit(2)
    return [each for each in scenarios if str(each.row) in words or each.name in words]


def main() -> None:
    """Play what the environment asks for; exit code 1 when something was not clean in the end, 2 for nonsense."""
    argparse.ArgumentParser(
        prog="python -m faults.run", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()  # no word is understood, lest one that was meant to choose a row plays them all
    signal.signal(signal.SIGTERM, interrupted)
    scenarios = chosen(
        os.environ.get("ONLY", ""), but=os.environ.get("EXCEPT", ""), short=os.environ.get("SHORT") == "1"
    )
    if seconds := _number("SECONDS", 0):
        scenarios = [replace(each, outage_seconds=(seconds, seconds)) for each in scenarios]
    campaign = Campaign(
        scenarios,
        runs=_number("RUNS", 1),
        seed=_number("SEED", 1),
        short=bool(os.environ.get("SHORT")),
        record=bool(os.environ.get("RECORD")),
        resume=bool(os.environ.get("RESUME")),
        allow_not_run=bool(os.environ.get("ALLOW_NOT_RUN")),
        show=bool(os.environ.get("SHOW")),
    )
    fine = campaign.play()
    words = Counter(result.word for result in campaign.results)
    print(f"{words.total()} runs: " + ", ".join(f"{words[word]} {word}" for word in WORDS))
    sys.exit(0 if fine else 1)


def _number(name: str, default: int) -> int:
    text = os.environ.get(name) or str(default)
    if not text.isdecimal() or int(text) < min(1, default):
        print(f"{name} must be a whole number from {min(1, default)}")
        raise SystemExit(2)
    return int(text)


def interrupted(*_: int | FrameType | None) -> None:
    """End as Ctrl-C does, and leave nothing running."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
