"""Scoring and policy worked out a second time, by other means: whole paise and fractions, and nothing of `prequal`.

Who doubts a score or a decision asks here. Amounts may be given as strings, decimals or whole rupees.
"""

from decimal import Decimal
from fractions import Fraction
from hashlib import sha256
from uuid import UUID

Rupees = str | Decimal | int

DOCUMENTED = {"ABCDE1234F": 790, "FGHIJ5678K": 610}


def score(application_id: UUID | str, pan: str, monthly_income_inr: Rupees, loan_type: str) -> int:
    """The CIBIL score of an application."""
    if documented := DOCUMENTED.get(pan):
        return documented
    income = paise(monthly_income_inr)
    parts = [
        650,
        40 * (income > 75_000_00),
        -20 * (income < 30_000_00),
        {"PERSONAL": -10, "HOME": 10, "AUTO": 0}[loan_type],
        jitter(application_id),
    ]
    return sorted((300, sum(parts), 900))[1]


def decision(cibil_score: int, monthly_income_inr: Rupees, loan_amount_inr: Rupees) -> str:
    """The final status: with a division this time, which a fraction does not round."""
    instalment = Fraction(paise(loan_amount_inr), 48)
    if cibil_score <= 649:
        return "REJECTED"
    return "MANUAL_REVIEW" if paise(monthly_income_inr) <= instalment else "PRE_APPROVED"


def outcome(
    application_id: UUID | str, pan: str, monthly_income_inr: Rupees, loan_amount_inr: Rupees, loan_type: str
) -> tuple[int, str]:
    """Score and final status of an application."""
    points = score(application_id, pan, monthly_income_inr, loan_type)
    return points, decision(points, monthly_income_inr, loan_amount_inr)


def jitter(application_id: UUID | str) -> int:
    """−5 … +5: SHA-256 of the id's 16 bytes, read as a big-endian number digit by digit, modulo 11, less 5."""
    remainder = 0
    for byte in sha256(bytes.fromhex(str(application_id).replace("-", ""))).digest():
        remainder = (remainder * 256 + byte) % 11
    return remainder - 5


def paise(rupees: Rupees) -> int:
    """Rupees in whole paise; an amount that has none is no amount."""
    exact = Fraction(str(rupees)) * 100
    assert exact.denominator == 1, "less than a paisa"
    return exact.numerator
