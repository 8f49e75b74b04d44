"""Policies worked out a second time: rupees as fractions, rules read one by one, and nothing of the compiled policy."""

import math
from fractions import Fraction
from functools import cache
from typing import Any

from prequal.domain.policy.document import Document, Emi, IncomeOver, Money, MonthsLimit, ScoreLimit


def reason(document: Document, facts: dict[str, Any]) -> str:
    """The code of the reason; `facts` has amounts as fractions of a rupee, and None where one is missing."""
    for missing in document.missing:
        if facts[missing.fact] is None:
            return missing.reason
    for row in document.rows:
        if all(_holds(document, facts, *condition.split()) for condition in row.when):
            return row.reason
    raise AssertionError("no row matches")


def _holds(document: Document, facts: dict[str, Any], left: str, operator: str, right: str) -> bool:
    if left == "loan_type":
        return bool(facts[left] == right) == (operator == "=")
    difference = value(document, facts, left) - value(document, facts, right)
    sign = "<" if difference < 0 else ">" if difference > 0 else "="
    return sign in operator


def value(document: Document, facts: dict[str, Any], name: str) -> Fraction:
    """A fact, a limit or a derived fact: rupees, score, months, or a share of 1."""
    if name in facts:
        return Fraction(facts[name])
    if name in document.limits:
        limit = document.limits[name]
        if isinstance(limit, Money):
            return limit.rupees + Fraction(limit.paise, 100)
        if isinstance(limit, ScoreLimit):
            return Fraction(limit.score)
        return Fraction(limit.months) if isinstance(limit, MonthsLimit) else Fraction(limit.basis_points, 10_000)
    derived = document.derived[name]
    if isinstance(derived, IncomeOver):
        return sum(
            [Fraction(facts["monthly_income_inr"])] * int(value(document, facts, derived.income_over)), Fraction()
        )
    if isinstance(derived, Emi):
        principal = value(document, facts, derived.emi_of)
        rate, months = value(document, facts, derived.rate) / 12, int(value(document, facts, derived.over))
        return _rounded(principal / _annuity(rate, months), 100, derived.rounding)
    outgoing = value(document, facts, derived.foir_of) + facts["stated_obligations_inr"]
    return _rounded(outgoing / facts["monthly_income_inr"], 10_000, derived.rounding)


@cache
def _annuity(rate: Fraction, months: int) -> Fraction:
    """What a rupee paid in each month is worth today."""
    return sum((1 / (1 + rate) ** month for month in range(1, months + 1)), Fraction())


def _rounded(exact: Fraction, units: int, rounding: str) -> Fraction:
    whole = {"up": math.ceil, "down": math.floor, "half_up": lambda number: math.floor(number + Fraction(1, 2))}
    return Fraction(whole[rounding](exact * units), units)
