"""Rupees and paise, exact: decimal from the first byte to the last, never through a float.

Invariant: an amount that passes fits `NUMERIC(12,2)` and keeps its value.
"""

import re
from decimal import Decimal

from prequal.domain.counts import grouped

SMALLEST = Decimal("0.01")
LARGEST = Decimal("9999999999.99")

_TEXT = re.compile(r"-?[0-9]+(?:\.[0-9]+)?|-?\.[0-9]+|-?[0-9]+\.")


class NotAnAmount(ValueError):
    """Not a decimal number."""


class NotPositive(ValueError):
    """Zero or less."""


class OutOfRange(ValueError):
    """More than 9,999,999,999.99, or more than two decimals."""


def amount_from_text(text: str) -> Decimal:
    """The amount that a string of ASCII digits, an optional leading minus and one point spell out.

    Raises:
        NotAnAmount: anything else is in it, or it is longer than 100 characters.
        NotPositive, OutOfRange: see `amount`.
    """
    if len(text) > 100 or not _TEXT.fullmatch(text):
        raise NotAnAmount("must be a decimal number")
    return amount(Decimal(text))


def amount(number: Decimal) -> Decimal:
    """`number` in rupees with exactly two decimals, if it is an amount of money we take.

    Raises:
        NotPositive: it is zero or less.
        OutOfRange: it is over the largest amount or has a third decimal that is not zero.
    """
    if number <= 0:
        raise NotPositive("must be greater than zero")
    if number > LARGEST:
        raise OutOfRange("must be at most 9999999999.99")
    if number < SMALLEST or number != (whole_paise := number.quantize(SMALLEST)):
        raise OutOfRange("must have at most two decimals")
    return whole_paise


def rupees(amount: Decimal) -> str:
    """₹12,34,567.50: three digits, then groups of two, as in India."""
    whole, paise = f"{amount:.2f}".split(".")
    return f"₹{grouped(int(whole))}.{paise}"
