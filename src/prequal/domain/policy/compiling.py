"""Conditions and derived facts as closures over a list of values.

Invariant: all arithmetic is on whole numbers, and rounds only where the document says so.
"""

import operator
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any, Final, TypeAlias

from prequal.domain.policy.conditions import Comparison
from prequal.domain.policy.document import Derived, Emi, IncomeOver, Rounding
from prequal.domain.policy.scope import INCOME, OBLIGATIONS, Scope

Values: TypeAlias = Sequence[Any]
Condition: TypeAlias = Callable[[Values], bool]
Derivation: TypeAlias = Callable[[Values], Any]

_WITH_CONSTANT: Final[Mapping[str, Callable[[int, Any], Condition]]] = {
    "<": lambda left, limit: lambda values: values[left] < limit,
    "<=": lambda left, limit: lambda values: values[left] <= limit,
    ">": lambda left, limit: lambda values: values[left] > limit,
    ">=": lambda left, limit: lambda values: values[left] >= limit,
    "=": lambda left, limit: lambda values: values[left] == limit,
    "!=": lambda left, limit: lambda values: values[left] != limit,
}
_WITH_VALUE: Final[Mapping[str, Callable[[int, int], Condition]]] = {
    "<": lambda left, right: lambda values: values[left] < values[right],
    "<=": lambda left, right: lambda values: values[left] <= values[right],
    ">": lambda left, right: lambda values: values[left] > values[right],
    ">=": lambda left, right: lambda values: values[left] >= values[right],
}

_ROUNDED: Final[Mapping[Rounding, Callable[[int, int], int]]] = {
    "up": lambda numerator, denominator: -(-numerator // denominator),
    "down": operator.floordiv,
    "half_up": lambda numerator, denominator: (2 * numerator + denominator) // (2 * denominator),
}


def condition(each: Comparison, scope: Scope, places: Mapping[str, int]) -> Condition:
    """The comparison of values at their `places`; a limit or a loan type is a constant in it."""
    left = places[each.left]
    if each.right in places:
        return _WITH_VALUE[each.operator](left, places[each.right])
    return _WITH_CONSTANT[each.operator](left, scope.limits.get(each.right, each.right))


def derivation(derived: Derived, scope: Scope, places: Mapping[str, int]) -> Derivation:
    """How a derived fact comes from the values before it: paise, or basis points."""
    income = places[INCOME]
    if isinstance(derived, IncomeOver):
        months = scope.limits[derived.income_over]
        return lambda values: values[income] * months
    rounded = _ROUNDED[derived.rounding]
    if isinstance(derived, Emi):
        principal = places[derived.emi_of]
        factor = emi_factor(scope.limits[derived.rate], scope.limits[derived.over])
        numerator, denominator = factor.numerator, factor.denominator
        return lambda values: rounded(values[principal] * numerator, denominator)
    instalment, obligations = places[derived.foir_of], places[OBLIGATIONS]
    return lambda values: rounded((values[instalment] + values[obligations]) * 10_000, values[income])


def emi_factor(basis_points: int, months: int) -> Fraction:
    """What an equal monthly instalment is of its principal: r (1 + r)ⁿ / ((1 + r)ⁿ − 1), r being a twelfth a month."""
    if basis_points == 0:
        return Fraction(1, months)
    rate = Fraction(basis_points, 120_000)
    growth = (1 + rate) ** months
    return rate * growth / (growth - 1)
