"""The pairs of a comparison in a file of lines: added one by one, and read again by a run that goes on from there.

Invariant: pairs are of one comparison when revisions, settings and Pythons of both sides and the load are the same.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

Measured: TypeAlias = dict[str, float]
"""What was measured of a side, by name."""
Pair: TypeAlias = tuple[Measured, Measured]


@dataclass(frozen=True)
class Record:
    """A file, or none, and the comparison whose pairs are sought in it and added to it."""

    file: Path | None
    load: str
    sides: tuple[str, str]
    """What base and other are."""

    def pairs(self) -> list[Pair]:
        """Those of this comparison that the file has."""
        text = self.file.read_text("utf-8") if self.file is not None and self.file.exists() else ""
        return [(line["base"], line["other"]) for line in lines_of(text) if self._is_ours(line)]

    def add(self, pair: Pair) -> None:
        """Append a pair."""
        if self.file is None:
            return
        base, other = pair
        line = {"load": self.load, "sides": self.sides, "base": base, "other": other}
        has_end = not self.file.exists() or self.file.read_text("utf-8")[-1:] in ("", "\n")
        with self.file.open("a", encoding="utf-8") as file:
            file.write(f"{'' if has_end else chr(10)}{json.dumps(line, default=float)}\n")

    def _is_ours(self, line: dict[str, Any]) -> bool:
        return line["load"] == self.load and line.get("sides") == [*self.sides]


def lines_of(text: str) -> Iterator[dict[str, Any]]:
    """The lines of a record; one that was cut off when its run ended is left out."""
    for line in text.splitlines():
        try:
            yield json.loads(line)
        except ValueError:
            continue
