"""The conditions of a row: understood, and as the values that they leave possible.

Invariant: a condition that is not understood whole is a fault, never skipped.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from prequal.domain.application import LoanType
from prequal.domain.policy.document import Row
from prequal.domain.policy.facts import KINDS, RANGES, Kind
from prequal.domain.policy.problems import Fault, Place
from prequal.domain.policy.scope import AMOUNT, Scope

ORDERS: Final = ("<", "<=", ">", ">=")
MOST: Final = 10**30
"""More than any derived fact."""

Axis: TypeAlias = tuple[str, ...]
"""A fact, or two facts that are compared."""

Values: TypeAlias = range | frozenset[str]

Box: TypeAlias = Mapping[Axis, Values]
"""What a row's conditions leave possible, by axis; an axis that is not there is free."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """`left operator right`; the right side is a limit, a fact, or a loan type."""

    left: str
    operator: str
    right: str


def comparisons(scope: Scope, row: Row, number: int) -> tuple[Comparison, ...]:
    """The conditions of a row, understood.

    Raises:
        Fault: a name is unknown, kinds differ, or the operator does not fit.
    """
    return tuple(_comparison(scope, text, ("rows", number, "when")) for text in row.when)


def _comparison(scope: Scope, text: str, place: Place) -> Comparison:
    left, operator, right = text.split(" ")
    if left not in scope.rests_on:
        raise Fault(place, f"`{text}`: {left} is no fact; facts are {', '.join(scope.rests_on)}.")
    if scope.kinds[left] is Kind.LOAN_TYPE:
        _check_loan_type(text, operator, right, place)
    else:
        _check_order(scope, text, Comparison(left, operator, right), place)
    return Comparison(left, operator, right)


def _check_loan_type(text: str, operator: str, right: str, place: Place) -> None:
    if operator not in ("=", "!="):
        raise Fault(place, f"`{text}`: a loan type is compared with = or !=.")
    if right not in LoanType.__members__:
        raise Fault(place, f"`{text}`: {right} is no loan type; they are {', '.join(LoanType)}.")


def _check_order(scope: Scope, text: str, found: Comparison, place: Place) -> None:
    if found.operator not in ORDERS:
        raise Fault(place, f"`{text}`: numbers are compared with {' '.join(ORDERS)}.")
    if re.match(r"[-+.]?\d", found.right):
        raise Fault(place, f"`{text}`: a number stands in [limits] under a name, and the condition has the name.")
    if found.right not in scope.kinds:
        raise Fault(place, f"`{text}`: {found.right} is neither a fact nor in [limits] or [derived].")
    if scope.kinds[found.left] is not scope.kinds[found.right]:
        kinds = scope.kinds[found.left].value, scope.kinds[found.right].value
        raise Fault(place, f"`{text}`: {found.left} is {kinds[0]}, and {found.right} is {kinds[1]}.")
    if found.left == found.right:
        raise Fault(place, f"`{text}`: {found.left} is compared with itself.")
    if AMOUNT in scope.facts_of(found.left) & scope.facts_of(found.right):
        raise Fault(place, f"`{text}`: both sides change with the loan's amount; compare one of them with a limit.")


def box(scope: Scope, conditions: Iterable[Comparison]) -> Box:
    """What the conditions leave possible; derived facts count as if they could have any value."""
    found: dict[Axis, Values] = {}
    for each in conditions:
        axis, allowed = _allowed(scope, each)
        found[axis] = _both(found[axis], allowed) if axis in found else allowed
    return found


def is_empty(box: Box) -> bool:
    """Whether no application is left."""
    return not all(box.values())


def covers(outer: Box, inner: Box) -> bool:
    """Whether all that `inner` leaves possible, `outer` does."""
    return all(_within(inner.get(axis, _free(axis)), allowed) for axis, allowed in outer.items())


def _allowed(scope: Scope, each: Comparison) -> tuple[Axis, Values]:
    if scope.kinds[each.left] is Kind.LOAN_TYPE:
        one = frozenset({each.right})
        return (each.left,), one if each.operator == "=" else frozenset(LoanType) - one
    if each.right in scope.limits:
        return (each.left,), _both(_free((each.left,)), _side(each.operator, scope.limits[each.right]))
    allowed = frozenset(each.operator)  # of the signs of the difference: `<=` is `<` or `=`
    if each.left < each.right:
        return (each.left, each.right), allowed
    return (each.right, each.left), frozenset({"<": ">", ">": "<", "=": "="}[sign] for sign in allowed)


def _side(operator: str, limit: int) -> range:
    if operator in ("<", "<="):
        return range(-MOST, limit + (operator == "<="))
    return range(limit + (operator == ">"), MOST)


def _free(axis: Axis) -> Values:
    if len(axis) == 2:
        return frozenset("<=>")
    if KINDS.get(axis[0]) is Kind.LOAN_TYPE:
        return frozenset(LoanType)
    return RANGES.get(axis[0], range(MOST))


def _both(one: Values, other: Values) -> Values:
    if isinstance(one, range) and isinstance(other, range):
        return range(max(one.start, other.start), min(one.stop, other.stop))
    return frozenset(each for each in one if each in other)  # type: ignore[misc]  # both are of words


def _within(inner: Values, outer: Values) -> bool:
    if isinstance(inner, range) and isinstance(outer, range):
        return outer.start <= inner.start and inner.stop <= outer.stop
    return frozenset(inner) <= frozenset(outer)
