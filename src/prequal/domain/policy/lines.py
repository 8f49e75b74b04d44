"""The line of a document on which each of its values begins: tomllib does not say.

Invariant: of a text that tomllib takes, every key and every entry of a list has its line, and nothing else has one.
"""

import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Final

from prequal.domain.policy.problems import Place

_TOKEN: Final = re.compile(
    r"""
    (?P<gap> [ \t\r]+ | \#[^\n]* )
    | "{3} (?: \\. | [^\\] )*? "{3,5} | '{3} .*? '{3,5} | " (?: \\. | [^"\\] )* " | ' [^']* '
    | [\[\]{}=,.\n]
    | [^\s\[\]{}=,."'\#]+
    """,
    re.VERBOSE | re.DOTALL,
)
"""What stands between two values, texts, marks, and words: keys and what is left of values."""
_BETWEEN: Final = ("\n", ",")
_BEHIND_A_VALUE: Final = (*_BETWEEN, "]", "}")


def lines_of(text: str) -> Mapping[Place, int]:
    """The line of each header, key and entry of a list, by the way to it; of a list of tables that of the first."""
    walk = _Walk(text + "\n")
    with suppress(StopIteration):  # the text has ended
        walk.through_sections()
    return walk.lines


def _tokens(text: str) -> Iterator[tuple[str, int]]:
    """All but comments and spaces, each with its line."""
    line = 1
    for found in _TOKEN.finditer(text):
        if found["gap"] is None:
            yield found[0], line
        line += found[0].count("\n")


class _Walk:
    """Goes through a text once, token by token, and notes lines; ends by `StopIteration`."""

    def __init__(self, text: str) -> None:
        self.lines: dict[Place, int] = {}
        self._tables = Counter[Place]()
        """How many tables each list has so far."""
        self._tokens = _tokens(text)
        self._here, self._line = "\n", 1

    def through_sections(self) -> None:
        """Note all lines."""
        section: Place = ()
        while True:
            if self._here == "\n":
                self._step()
            elif self._here == "[":
                section = self._header()
            else:
                self._assignment(section)

    def _step(self) -> str:
        """The token that was the current one; the one behind it is it now."""
        here = self._here
        self._here, self._line = next(self._tokens)
        return here

    def _header(self) -> Place:
        """The way to the table that `[a.b]` or `[[a.b]]` begins."""
        line = self._line
        place: Place = ()
        self._step()
        is_of_list = self._here == "["
        if is_of_list:
            self._step()
        *outer, name = self._key("]")
        for part in outer:
            place = (*place, part)
            self.lines.setdefault(place, line)
            if place in self._tables:
                place = (*place, self._tables[place])
        place = (*place, name)
        if is_of_list:
            self._step()
            self.lines.setdefault(place, line)
            self._tables[place] += 1
            place = (*place, self._tables[place])
        self.lines[place] = line
        return place

    def _key(self, end: str) -> list[str]:
        """The parts of a key, and past the mark behind it."""
        parts: list[str] = []
        while self._here != end:
            here = self._step()
            if here[0] in "\"'":
                parts.append(tomllib.loads(f"text = {here}")["text"])
            elif here != ".":
                parts.append(here)
        self._step()
        return parts

    def _assignment(self, place: Place) -> None:
        line = self._line
        for part in self._key("="):
            place = (*place, part)
            self.lines.setdefault(place, line)
        self._value(place)

    def _value(self, place: Place) -> None:
        opening, number = self._step(), 0
        if opening not in ("[", "{"):
            while self._here not in _BEHIND_A_VALUE:  # of a number with a point, or of a date and a time
                self._step()
            return
        while self._here not in ("]", "}"):
            if self._here in _BETWEEN:
                self._step()
            elif opening == "{":
                self._assignment(place)
            else:
                number += 1
                self.lines[(*place, number)] = self._line
                self._value((*place, number))
        self._step()
