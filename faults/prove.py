"""Two minutes that anyone can watch: everything is killed again and again under load, and then the checker speaks.

    python -m faults.prove --seconds 120

Invariant: the last sentence is the checker's; exit code 1 when it found anything.
"""

import argparse
import random
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import replace

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table

from faults.rig import EVERYBODY
from faults.run import Campaign, chosen, interrupted
from faults.scenario import Run

SECONDS_MAX = 600.0


class View:
    """What is seen while it goes on: what the client knows, and how often each child was killed."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._began = time.monotonic()
        self._run: Run | None = None

    def watch(self, run: Run) -> None:
        """Everything is up, and the run begins."""
        self._run, self._began = run, time.monotonic()

    def __rich__(self) -> Group:
        """What there is to see at this moment."""
        if self._run is None:
            return Group(self._title())
        seen, killed = self._run.seen, self._run.rig.killed
        accepted, decided = len(seen.accepted), len(seen.decided)
        load = {
            "accepted": accepted,
            "decided": decided,
            "waiting": accepted - decided,
            "posts without an answer": len(seen.lost),
            "503": sum(answer.status == 503 for answer in seen.answers),
        }
        return Group(self._title(), _row("", load), _row("killed", {name: killed[name] for name in EVERYBODY}))

    def _title(self) -> str:
        if self._run is None:
            return "starting PostgreSQL, Kafka and the four services, on ports and in a folder of their own …"
        seconds = time.monotonic() - self._began
        if seconds < self._seconds:
            return f"{seconds:3.0f} s of {self._seconds:.0f}: a service is killed every second, a store every fifteenth"
        return f"{seconds:3.0f} s: nothing is killed any more; everything comes back and settles, and is checked"


def _row(title: str, figures: Mapping[str, int]) -> Table:
    table = Table(title=title or None, title_justify="left")
    for head in figures:
        table.add_column(head, justify="right")
    table.add_row(*map(str, figures.values()))
    return table


def main() -> None:
    """Play, and say what the checker found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=120.0, help="how long to kill, at most 600")
    parser.add_argument("--seed", type=int, default=random.randrange(1, 1_000_000), help="who is killed when")
    arguments = parser.parse_args()
    seconds = min(arguments.seconds, SECONDS_MAX)
    signal.signal(signal.SIGTERM, interrupted)
    played = [replace(each, outage_seconds=(seconds, seconds)) for each in chosen("random-kills")]
    view, console = View(seconds), Console()
    campaign = Campaign(played, seed=arguments.seed, watch=view.watch)
    with Live(view, console=console, refresh_per_second=4):
        clean = campaign.play()
    *_, result = campaign.results
    console.print(
        f"\n{result.accepted} applications were answered 202 (seed {result.seed}): every one of them has exactly one "
        "decision, the right one, and no invariant is broken."
        if clean
        else f"NOT CLEAN (seed {result.seed}): " + "; ".join(result.violations)
    )
    sys.exit(not clean)


if __name__ == "__main__":
    main()
