"""What is wrong with a policy document, and where.

Invariant: a problem names a line or a row, and says in one sentence what to write instead.
"""

import re
from collections.abc import Sequence
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

    def problem(self, text: str) -> Problem:
        """The fault with its line in `text`."""
        return Problem(_line(text, self.place), _words(self.place), str(self))


def _words(place: Place) -> str:
    """`rows 2 when`, as `row 2, when`."""
    parts: list[str] = []
    for part in place:
        if isinstance(part, int):
            parts[-1] = f"{parts[-1].removesuffix('s')} {part}"
        else:
            parts.append(part)
    return ", ".join(parts)


def _line(text: str, place: Place) -> int | None:
    """The line of the last part of `place` that can be found; text within several lines can mislead it."""
    lines, at = text.splitlines(), 0
    for n, part in enumerate(place):
        if isinstance(part, int):
            continue
        entry = place[n + 1] if n + 1 < len(place) else None
        found = _find(lines, at, part, entry if isinstance(entry, int) and n == 0 else 1)
        if found is None:
            break
        at = found
    return at or None


def _find(lines: Sequence[str], after: int, name: str, number: int) -> int | None:
    """The line of the `number`th `[[name]]`, `[name]` or `name =` behind line `after`."""
    wanted = re.compile(rf"\s*(\[\[?\s*([\w.]+\.)?{re.escape(name)}\s*\]|{re.escape(name)}\s*=)")
    found = [line for line, content in enumerate(lines[after:], after + 1) if wanted.match(content)]
    return found[number - 1] if number <= len(found) else None
