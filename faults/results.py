"""What the campaign found, a line a run, and the table that `docs/fault-runs.md` makes of it.

    python -m faults.results            writes the table
    python -m faults.results --check    only compares

Invariant: a run that was not clean stays in the file and in the table.
"""

import json
import statistics
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

KEPT: Final = ("faults/results.jsonl", "docs/fault-runs.md")
"""What is written here, from the checkout's root."""
RESULTS, DOCUMENT = (Path(__file__).parent.parent / kept for kept in KEPT)
BEGIN: Final = "<!-- table: made by `python -m faults.results` from faults/results.jsonl -->"
END: Final = "<!-- end of table -->"


WORDS: Final = ("clean", "VIOLATED", "spoilt", "not run")
"""How a run can have ended."""


@dataclass(frozen=True)
class Result:
    """How one run ended.

    `not_run` says why it could not be tried here, and `spoilt` why its fault did not happen: such runs prove nothing.
    """

    date: str
    revision: str
    row: int
    name: str
    seed: int
    volume: str
    outage_seconds: float
    seconds: float
    accepted: int
    recovery_seconds: float
    violations: tuple[str, ...] = ()
    not_run: str = ""
    spoilt: str = ""

    @property
    def word(self) -> str:
        """One of `WORDS`."""
        clean, violated, spoilt, not_run = WORDS
        return not_run if self.not_run else spoilt if self.spoilt else violated if self.violations else clean

    @property
    def tried(self) -> bool:
        """Whether it proves anything."""
        return not (self.not_run or self.spoilt)

    def line(self) -> str:
        """What the runner prints."""
        how = f"{self.accepted} accepted, recovered in {self.recovery_seconds:.1f} s"
        words = self.not_run or self.spoilt or ("; ".join(self.violations) if self.violations else how)
        return f"row {self.row:>2}  {self.name:<34} seed {self.seed:<6} {self.word:<8} {self.seconds:6.1f} s  {words}"


def append(result: Result, file: Path = RESULTS) -> None:
    """Add a line."""
    with file.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(asdict(result)) + "\n")


def read(file: Path = RESULTS) -> list[Result]:
    """All that was recorded; none when there is no file."""
    if not file.exists():
        return []
    lines = file.read_text(encoding="utf-8").splitlines()
    return [Result(**(fields | {"violations": tuple(fields["violations"])})) for fields in map(json.loads, lines)]


def table(results: Iterable[Result]) -> str:
    """The table, in Markdown: a line for each fault and load that was tried or could not be."""
    groups: dict[tuple[int, str, str, float], list[Result]] = {}
    for result in results:
        groups.setdefault((result.row, result.name, result.volume, result.outage_seconds), []).append(result)
    heads = ("row", "fault", "load", "outage", "runs", "violated", "recovery p50 / max", "rate below (95 %)")
    lines = [_row(heads), _row(["---"] * len(heads))]
    lines += [_row(_cells(*key, groups[key])) for key in sorted(groups)]
    return "\n".join(lines) + "\n"


def _cells(row: int, name: str, volume: str, outage_seconds: float, results: Sequence[Result]) -> list[str]:
    tried = [result for result in results if result.tried]
    violated = [result for result in tried if result.violations]
    outage = f"{outage_seconds:g} s" if outage_seconds else "–"
    if not tried:
        return [
            str(row),
            name,
            volume,
            outage,
            "0",
            "–",
            f"{results[-1].word}: {results[-1].not_run or results[-1].spoilt}",
            "–",
        ]
    recovery = [result.recovery_seconds for result in tried]
    times = f"{statistics.median(recovery):.1f} / {max(recovery):.1f} s"
    seeds = ", ".join(f"{result.seed} at {result.revision}" for result in violated)
    wrong = f"**{len(violated)}** (seed {seeds})" if violated else "0"
    return [str(row), name, volume, outage, str(len(tried)), wrong, times, _bound(len(tried), len(violated))]


def _bound(runs: int, violated: int) -> str:
    """No failure in n runs bounds the rate at 3/n, with 95 % confidence."""
    return "–" if violated else f"{min(1.0, 3 / runs):.0%}"


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def documented(text: str, results: Iterable[Result]) -> str:
    """The document with its table as the results make it."""
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n\n{table(results)}\n{END}{tail}"


def write() -> None:
    """Bring the document's table up to date."""
    DOCUMENT.write_text(documented(DOCUMENT.read_text(encoding="utf-8"), read()), encoding="utf-8")


def main(words: list[str]) -> None:
    """Write, or check."""
    if words == ["--check"]:
        text = DOCUMENT.read_text(encoding="utf-8")
        if documented(text, read()) != text:
            sys.exit("Not what faults/results.jsonl says: docs/fault-runs.md. Run `make documents`.")
    elif words == []:
        write()
    else:
        sys.exit("Usage: python -m faults.results [--check]")


if __name__ == "__main__":
    main(sys.argv[1:])
