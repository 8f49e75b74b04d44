"""What campaigns found: one summed line a row and load, and the table that `docs/fault-runs.md` makes of them.

    python -m faults.results            writes the table
    python -m faults.results --check    only compares

Invariant: a violation stays, with its seed and the revision that ran; every run is counted under its revision.
"""

import json
import statistics
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Self, TypeAlias

KEPT: Final = ("faults/results.jsonl", "docs/fault-runs.md")
"""What is written here, from the checkout's root."""
RESULTS, DOCUMENT = (Path(__file__).parent.parent / kept for kept in KEPT)
BEGIN: Final = "<!-- table: made by `python -m faults.results` from faults/results.jsonl -->"
END: Final = "<!-- end of table -->"
LINES_MAX: Final = 100
TUPLES: Final = ("violated", "recovery")

WORDS: Final = ("clean", "VIOLATED", "spoilt", "not run")
"""How a run can have ended."""

Key: TypeAlias = tuple[int, str, str, float]
"""Row, name, load and outage in seconds."""


@dataclass(frozen=True)
class Result:
    """How one run ended.

    `not_run` says why it could not be tried here, and `spoilt` why its fault did not happen: such runs prove nothing.
    """

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

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> Self:
        """The result that was written as these fields."""
        return cls(**{**fields, "violations": tuple(fields["violations"])})

    @property
    def key(self) -> Key:
        """What it is summed under."""
        return self.row, self.name, self.volume, self.outage_seconds

    @property
    def word(self) -> str:
        """One of `WORDS`."""
        clean, violated, spoilt, not_run = WORDS
        return not_run if self.not_run else spoilt if self.spoilt else violated if self.violations else clean

    def line(self) -> str:
        """What the runner prints."""
        how = f"{self.accepted} accepted, recovered in {self.recovery_seconds:.1f} s"
        words = self.not_run or self.spoilt or ("; ".join(self.violations) if self.violations else how)
        return f"row {self.row:>2}  {self.name:<34} seed {self.seed:<6} {self.word:<8} {self.seconds:6.1f} s  {words}"


@dataclass(frozen=True)
class Sum:
    """All runs of one fault under one load that prove something.

    Attributes:
        runs: how many, by revision, in the order they were made.
        violated: the red ones, each as `seed N at REVISION`.
        recovery: each run's seconds from the restore until all was decided, sorted.
    """

    row: int
    name: str
    volume: str
    outage_seconds: float
    runs: Mapping[str, int] = field(default_factory=dict)
    violated: tuple[str, ...] = ()
    recovery: tuple[float, ...] = ()

    @property
    def key(self) -> Key:
        """What is summed."""
        return self.row, self.name, self.volume, self.outage_seconds

    def plus(self, result: Result) -> Self:
        """The sum with one run more."""
        red = (f"seed {result.seed} at {result.revision}",) if result.violations else ()
        return replace(
            self,
            runs={**self.runs, result.revision: self.runs.get(result.revision, 0) + 1},
            violated=(*self.violated, *red),
            recovery=tuple(sorted((*self.recovery, round(result.recovery_seconds, 1)))),
        )

    def cells(self) -> list[str]:
        """Its line of the table."""
        count, red = sum(self.runs.values()), len(self.violated)
        outage = f"{self.outage_seconds:g} s" if self.outage_seconds else "–"
        wrong = f"**{red}** ({', '.join(self.violated)})" if red else "0"
        times = f"{statistics.median(self.recovery):.1f} / {max(self.recovery):.1f} s"
        # No failure in n runs bounds the rate at 3/n, with 95 % confidence.
        bound = "–" if red else f"{min(1.0, 3 / count):.0%}"
        return [str(self.row), self.name, self.volume, outage, str(count), wrong, times, bound, [*self.runs][-1]]


def summed(sums: Iterable[Sum], results: Iterable[Result]) -> list[Sum]:
    """The sums with these runs, but for those that prove nothing; sorted."""
    by_key = {each.key: each for each in sums}
    for result in results:
        if not (result.not_run or result.spoilt):
            by_key[result.key] = by_key.get(result.key, Sum(*result.key)).plus(result)
    return [by_key[key] for key in sorted(by_key)]


def append(*results: Result, file: Path = RESULTS) -> None:
    """Add runs to the file's sums."""
    file.write_text(written(summed(read(file), results)), encoding="utf-8")


def written(sums: Iterable[Sum]) -> str:
    """The file of these sums: a line for each row and load, with a sum for each of its faults."""
    by_line: dict[tuple[int, str], list[dict[str, Any]]] = {}
    for each in sorted(sums, key=lambda one: (one.row, one.volume, one.key)):
        said = asdict(each)
        by_line.setdefault((said.pop("row"), said.pop("volume")), []).append(said)
    lines = ({"row": row, "volume": volume, "faults": faults} for (row, volume), faults in by_line.items())
    return "".join(f"{json.dumps(line)}\n" for line in lines)


def read(file: Path = RESULTS) -> list[Sum]:
    """All that was recorded, sorted; none when there is no file."""
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    sums = [
        Sum(row=line["row"], volume=line["volume"], **{**said, **{many: tuple(said[many]) for many in TUPLES}})
        for line in map(json.loads, lines)
        for said in line["faults"]
    ]
    return sorted(sums, key=lambda each: each.key)


def table(sums: Iterable[Sum]) -> str:
    """The table, in Markdown."""
    heads = ["row", "fault", "load", "outage", "runs", "violated", "recovery p50 / max", "rate below (95 %)", "last at"]
    rows = [heads, ["---"] * len(heads), *(each.cells() for each in sums)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in rows)


def documented(text: str, sums: Iterable[Sum]) -> str:
    """The document with its table as the sums make it."""
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n\n{table(sums)}\n{END}{tail}"


def write() -> None:
    """Bring the document's table up to date."""
    DOCUMENT.write_text(documented(DOCUMENT.read_text(encoding="utf-8"), read()), encoding="utf-8")


def check() -> None:
    """See that the file is summed and sorted, and the document as it says. Raises SystemExit when it is not."""
    sums, text = read(), DOCUMENT.read_text(encoding="utf-8")
    kept = RESULTS.read_text(encoding="utf-8")
    if kept != written(sums) or kept.count("\n") >= LINES_MAX:
        sys.exit(f"faults/results.jsonl must be one line a row and load, sorted, and fewer than {LINES_MAX}.")
    if documented(text, sums) != text:
        sys.exit("Not what faults/results.jsonl says: docs/fault-runs.md. Run `make documents`.")


def main(words: list[str]) -> None:
    """Write, or check."""
    if words not in ([], ["--check"]):
        sys.exit("Usage: python -m faults.results [--check]")
    if words:
        check()
    else:
        write()


if __name__ == "__main__":
    main(sys.argv[1:])
