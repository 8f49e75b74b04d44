"""A backtest's report as plots: what is drawn where, in whole pixels, for a template to write as SVG.

Invariant: the same report gives the same numbers, so that the same input is the same bytes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from prequal.domain.application import Status

STATUSES: Final = (Status.PRE_APPROVED.value, Status.MANUAL_REVIEW.value, Status.REJECTED.value)
"""In the order in which they are drawn."""
WIDTH: Final = 600
HEIGHT: Final = 300
GAP: Final = 34
"""Between two statuses of the flow: the room of two lines of text."""

Groups = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Part:
    """A status, what it amounts to, and the room that it takes: of a bar in its width, of the flow in its height."""

    status: str
    value: Decimal
    begin: int
    size: int


@dataclass(frozen=True, slots=True)
class Ribbon:
    """What goes from a status on the left to one on the right, with where it begins on each side, and its height."""

    before: str
    after: str
    value: Decimal
    left: int
    right: int
    size: int


@dataclass(frozen=True, slots=True)
class Flow:
    """Old outcomes on the left, new ones on the right, and what goes from one to the other."""

    left: Sequence[Part]
    right: Sequence[Part]
    ribbons: Sequence[Ribbon]


@dataclass(frozen=True, slots=True)
class Bars:
    """One group: its statuses before and after, as shares of what the group amounts to."""

    name: str
    total: Decimal
    before: Sequence[Part]
    after: Sequence[Part]


def flow(outcomes: Groups) -> Flow:
    """The flow of applications from old to new outcomes."""
    cells = _cells(outcomes, "applications")
    total = sum(cells.values()) or Decimal(1)
    room = HEIGHT - GAP * (len(STATUSES) - 1)
    left = _parts(_sides(cells, 0), total, room, GAP)
    right = _parts(_sides(cells, 1), total, room, GAP)
    begins = [{part.status: part.begin for part in side} for side in (left, right)]
    ribbons = []
    for before in STATUSES:
        for after in STATUSES:
            if value := cells.get((before, after)):
                size = max(1, int(value * room / total))
                ribbons.append(Ribbon(before, after, value, begins[0][before], begins[1][after], size))
                begins[0][before] += size
                begins[1][after] += size
    return Flow(left, right, ribbons)


def bars(groups: Groups, name: str, measure: str) -> list[Bars]:
    """A pair of bars for each value of `name`, by `applications` or by `loan_amount_inr`."""
    found = []
    for value in dict.fromkeys(str(group[name]) for group in groups):
        cells = _cells([group for group in groups if str(group[name]) == value], measure)
        total = sum(cells.values(), Decimal(0))
        before, after = (_parts(_sides(cells, side), total or Decimal(1), WIDTH, 0) for side in (0, 1))
        found.append(Bars(value, total, before, after))
    return found


def _cells(groups: Groups, measure: str) -> dict[tuple[str, str], Decimal]:
    cells: dict[tuple[str, str], Decimal] = {}
    for group in groups:
        key = (group["before"], group["after"])
        cells[key] = cells.get(key, Decimal(0)) + Decimal(group[measure])
    return cells


def _sides(cells: Mapping[tuple[str, str], Decimal], side: int) -> dict[str, Decimal]:
    return {
        status: sum((value for key, value in cells.items() if key[side] == status), Decimal(0)) for status in STATUSES
    }


def _parts(values: Mapping[str, Decimal], total: Decimal, room: int, gap: int) -> list[Part]:
    """One after the other, each at least a pixel where there is anything of it."""
    parts, at = [], 0
    for status, value in values.items():
        if value:
            parts.append(Part(status, value, at, size := max(1, int(value * room / total))))
            at += size + gap
    return parts
