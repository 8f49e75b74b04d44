"""Problems of a policy document, and their places.

Invariant: a problem names a line or a row, and says in one sentence what to write instead.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

Place: TypeAlias = tuple[str | int, ...]
"""The way to a value: the keys of tables, and the numbers of entries of lists, from 1 on."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A fault of a document; `line` is there where it is known."""

    line: int | None
    place: str
    sentence: str

    def __str__(self) -> str:
        where = [f"line {self.line}" if self.line else "", self.place]
        return ": ".join(filter(None, [", ".join(filter(None, where)), self.sentence]))


class NotAPolicy(ValueError):
    """The document is refused; nothing of it is used."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)


class Fault(ValueError):
    """One fault while a document is read, with the way to it."""

    def __init__(self, place: Place, sentence: str) -> None:
        super().__init__(sentence)
        self.place = place

    def problem(self, lines: Mapping[Place, int]) -> Problem:
        """The fault with its line: that of the longest part of its place that has one."""
        parts = (self.place[:length] for length in range(len(self.place), 0, -1))
        line = next((lines[part] for part in parts if part in lines), None)
        return Problem(line, _words(self.place), str(self))


def _words(place: Place) -> str:
    """`rows 2 when`, as `row 2, when`."""
    parts: list[str] = []
    for part in place:
        if isinstance(part, int):
            parts[-1] = f"{parts[-1].removesuffix('s')} {part}"
        else:
            parts.append(part)
    return ", ".join(parts)
