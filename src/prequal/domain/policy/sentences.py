"""Figures and sentences as people read them: amounts grouped as in India.

Invariant: a sentence says no figure that is not among the decision's measures.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from prequal.domain.money import rupees
from prequal.domain.policy.facts import Kind

PLACEHOLDER: Final = re.compile(r"\{([^{}]*)\}")
UNKNOWN: Final = "–"


def figure(value: Any, kind: Kind) -> str | int | None:
    """A value as it is stored: money in rupees, a share in percent, both as decimal strings with two decimals."""
    if value is None or kind in (Kind.SCORE, Kind.MONTHS):
        return value  # type: ignore[no-any-return]  # a score or months
    if kind is Kind.LOAN_TYPE:
        return str(value)
    return f"{value // 100}.{value % 100:02d}"


def in_words(figure: object, kind: Kind) -> str:
    """A stored figure as a sentence has it: ₹12,34,567.50, 45.50 %, 650."""
    if figure is None:
        return UNKNOWN
    if kind is Kind.MONEY:
        return rupees(Decimal(str(figure)))
    return f"{figure} %" if kind is Kind.SHARE else str(figure)


def filled(sentence: str, figures: Mapping[str, object], kinds: Mapping[str, Kind]) -> str:
    """`sentence` with its figures in place."""
    return PLACEHOLDER.sub(lambda found: in_words(figures.get(found[1]), kinds[found[1]]), sentence)
