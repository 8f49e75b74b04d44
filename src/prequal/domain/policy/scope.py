"""The names of a document: the meaning of each, and the facts on which it rests.

Invariant: derived facts are in an order in which each rests only on those before it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from prequal.domain.policy.document import (
    Derived,
    Document,
    Emi,
    Foir,
    IncomeOver,
    Limit,
    MonthsLimit,
    ScoreLimit,
    ShareLimit,
)
from prequal.domain.policy.facts import KINDS, Kind
from prequal.domain.policy.problems import Fault

SCORE: Final = "cibil_score"
AMOUNT: Final = "loan_amount_inr"
INCOME: Final = "monthly_income_inr"
OBLIGATIONS: Final = "stated_obligations_inr"


@dataclass(frozen=True, slots=True)
class Scope:
    """Every name's kind, the derived facts in order, and the facts that a fact or derived fact rests on."""

    kinds: Mapping[str, Kind]
    limits: Mapping[str, int]
    order: tuple[str, ...]
    rests_on: Mapping[str, frozenset[str]]

    def facts_of(self, name: str) -> frozenset[str]:
        """The facts that a name rests on; a limit rests on none."""
        return self.rests_on.get(name, frozenset())


def scope_of(document: Document) -> Scope:
    """The names of a document.

    Raises:
        Fault: a name stands for two things, or a derived fact for what is not there, of another kind, or itself.
    """
    kinds = dict(KINDS)
    for part, entries in (("limits", document.limits), ("derived", document.derived)):
        for name, entry in entries.items():
            if name in kinds:
                raise Fault((part, name), "is the name of something else.")
            kinds[name] = _kind(entry)
    for name, derived in document.derived.items():
        _check_references(document, kinds, name, derived)
    rests_on = {name: frozenset({name}) for name in KINDS}
    for name in (order := _ordered(document.derived)):
        rests_on[name] = _rests_on(document.derived[name], rests_on)
    return Scope(kinds, {name: value_of(limit) for name, limit in document.limits.items()}, order, rests_on)


def value_of(limit: Limit) -> int:
    """The limit as facts of its kind are counted: score, months, basis points, or paise."""
    if isinstance(limit, ScoreLimit):
        return limit.score
    if isinstance(limit, MonthsLimit):
        return limit.months
    return limit.basis_points if isinstance(limit, ShareLimit) else limit.in_paise


def references(derived: Derived) -> Iterator[tuple[str, str, Kind]]:
    """The key, the name and the kind of all that a derived fact names."""
    if isinstance(derived, IncomeOver):
        yield "income_over", derived.income_over, Kind.MONTHS
    elif isinstance(derived, Emi):
        yield "emi_of", derived.emi_of, Kind.MONEY
        yield "rate", derived.rate, Kind.SHARE
        yield "over", derived.over, Kind.MONTHS
    else:
        yield "foir_of", derived.foir_of, Kind.MONEY


def _kind(entry: Limit | Derived) -> Kind:
    if isinstance(entry, ScoreLimit):
        return Kind.SCORE
    if isinstance(entry, MonthsLimit):
        return Kind.MONTHS
    return Kind.SHARE if isinstance(entry, (ShareLimit, Foir)) else Kind.MONEY


def _check_references(document: Document, kinds: Mapping[str, Kind], name: str, derived: Derived) -> None:
    for key, referred, kind in references(derived):
        place = ("derived", name, key)
        if referred not in kinds:
            raise Fault(place, f"{referred} is neither a fact nor in [limits] or [derived].")
        if kinds[referred] is not kind:
            raise Fault(place, f"{referred} is {kinds[referred].value}, and must be {kind.value}.")
        if kind is Kind.SHARE and referred not in document.limits:
            raise Fault(place, f"{referred} must stand in [limits].")
        if kind is Kind.MONEY and referred in document.limits:
            raise Fault(place, f"{referred} is a limit, and must be a fact or stand in [derived].")


def _rests_on(derived: Derived, known: Mapping[str, frozenset[str]]) -> frozenset[str]:
    if isinstance(derived, IncomeOver):
        return frozenset({INCOME})
    if isinstance(derived, Emi):
        return known[derived.emi_of]
    return known[derived.foir_of] | {INCOME, OBLIGATIONS}


def _ordered(derived: Mapping[str, Derived]) -> tuple[str, ...]:
    order: list[str] = []
    left = dict(derived)
    while left:
        ready = [
            name for name, entry in left.items() if not any(referred in left for _, referred, _ in references(entry))
        ]
        if not ready:
            raise Fault(("derived", next(iter(left))), f"rests on itself: {', '.join(left)} form a cycle.")
        order += ready
        for name in ready:
            del left[name]
    return tuple(order)
