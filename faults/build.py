"""A test build: `prequal`, which learns from its environment where to die, stall or fail, and what to get wrong.

Invariant: with none of the variables set it does what `prequal` does.

    FAULTS_FAILPOINT="credit.after_commit=die@3" python -m faults.build credit

With `FAULTS_ORDERS` it can be armed while it runs: at SIGUSR1 it takes its failpoints from that file, and removes it.
`FAULTS_CLOCK_OFF` says by how many seconds its clock is fast, `FAULTS_MIGRATIONS` where `migrate` finds its steps,
`FAULTS_DESCRIPTORS` how many descriptors it may have open.
"""

import importlib
import itertools
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import time_machine

from prequal.core import failpoints
from prequal.core.failpoints import Place

FAILPOINT = "FAULTS_FAILPOINT"
ORDERS = "FAULTS_ORDERS"
BUG = "FAULTS_BUG"
CLOCK_OFF = "FAULTS_CLOCK_OFF"
DESCRIPTORS_MAX = "FAULTS_DESCRIPTORS"
MIGRATIONS = "FAULTS_MIGRATIONS"

Reached = Callable[[Place], None]


@dataclass(frozen=True)
class Failpoint:
    """What happens at the `passage`-th time, counted from 1, that `place` is passed: `die`, `stall` or `fail`."""

    place: Place
    action: str
    passage: int
    seconds: float = 0.0

    def __str__(self) -> str:
        stall = f":{self.seconds:g}" if self.action == "stall" else ""
        return f"{self.place}={self.action}@{self.passage}{stall}"

    def happen(self) -> None:
        """Do it to this process.

        Raises:
            ConnectionError: that is what it is to do.
        """
        match self.action:
            case "die":
                os.kill(os.getpid(), signal.SIGKILL)
            case "stall":
                time.sleep(self.seconds)
            case "fail":
                raise ConnectionError(f"failpoint {self.place}")


def parse(words: str) -> list[Failpoint]:
    """Failpoints as `place=die@n`, `place=stall@n:seconds` or `place=fail@n`, comma-separated.

    Raises:
        ValueError: the words say something else.
    """
    return [_parsed(word.strip()) for word in words.split(",") if word.strip()]


def watcher(armed: list[Failpoint]) -> Reached:
    """What takes the place of `failpoints.reached`: counts the passages of each place, and lets happen what is due."""
    passages: Mapping[Place, Iterator[int]] = {place: itertools.count(1) for place in Place}

    def reached(place: Place) -> None:
        passage = next(passages[place])
        for failpoint in armed:
            if (failpoint.place, failpoint.passage) == (place, passage):
                failpoint.happen()

    return reached


def arm(words: str) -> None:
    """Have this process do what `words` say; passages count from now on."""
    vars(failpoints)["reached"] = watcher(parse(words))


def main() -> None:
    """Arm what the environment says, then be `prequal`."""
    if words := os.environ.get(FAILPOINT):
        arm(words)
    if orders := os.environ.get(ORDERS):
        signal.signal(signal.SIGUSR1, lambda *_: _obey(Path(orders)))
    if seconds := os.environ.get(CLOCK_OFF):
        _shift_clock(float(seconds))
    if descriptors := os.environ.get(DESCRIPTORS_MAX):
        resource.setrlimit(resource.RLIMIT_NOFILE, (int(descriptors), int(descriptors)))
    if folder := os.environ.get(MIGRATIONS):
        vars(importlib.import_module("prequal.schema.migrate"))["MIGRATIONS"] = Path(folder)
    if bug := os.environ.get(BUG):
        importlib.import_module("faults.bugs").apply(bug)
    from prequal.cli.main import main as prequal

    prequal()


def _shift_clock(seconds: float) -> None:
    """Have the clock of this process's Python be so many seconds fast; the Kafka client, which is C, keeps its own."""
    time_machine.travel(time.time() + seconds, tick=True).start()


def _obey(orders: Path) -> None:
    arm(orders.read_text())
    orders.unlink()


def _parsed(word: str) -> Failpoint:
    place, _, what = word.partition("=")
    action, _, when = what.partition("@")
    passage, _, seconds = when.partition(":")
    if action not in ("die", "stall", "fail") or int(passage) < 1 or bool(seconds) != (action == "stall"):
        raise ValueError(f"{word} is no failpoint: place=die@n, place=stall@n:seconds or place=fail@n")
    return Failpoint(Place(place), action, int(passage), float(seconds or 0))


if __name__ == "__main__":
    sys.argv[0] = "prequal"
    main()
