"""The simulated CIBIL bureau (TransUnion CIBIL scores run from 300 to 900).

Invariant: a pure function of the application, so that a redelivered event gets the same score.
"""

from decimal import Decimal
from hashlib import sha256
from uuid import UUID

from prequal.domain.application import LoanType
from prequal.domain.pan import Pan

LOWEST_SCORE = 300
HIGHEST_SCORE = 900
BASE_SCORE = 650
SANDBOX_SCORES = {Pan("ABCDE1234F"): 790, Pan("FGHIJ5678K"): 610}

HIGH_INCOME_INR = Decimal(75_000)
LOW_INCOME_INR = Decimal(30_000)
HIGH_INCOME_POINTS = 40
LOW_INCOME_POINTS = -20
LOAN_TYPE_POINTS = {LoanType.PERSONAL: -10, LoanType.HOME: 10, LoanType.AUTO: 0}
SPREAD = 5


def cibil_score(application_id: UUID, pan: Pan, monthly_income_inr: Decimal, loan_type: LoanType) -> int:
    """The bureau's score, 300 … 900: the sandbox PANs' own, else base and points, spread by ± 5, clamped."""
    if pan in SANDBOX_SCORES:
        return SANDBOX_SCORES[pan]
    score = BASE_SCORE + income_points(monthly_income_inr) + LOAN_TYPE_POINTS[loan_type] + spread(application_id)
    return min(max(score, LOWEST_SCORE), HIGHEST_SCORE)


def income_points(monthly_income_inr: Decimal) -> int:
    """40 above ₹ 75,000 a month, −20 below ₹ 30,000, nothing between; the limits themselves are between."""
    if monthly_income_inr > HIGH_INCOME_INR:
        return HIGH_INCOME_POINTS
    return LOW_INCOME_POINTS if monthly_income_inr < LOW_INCOME_INR else 0


def spread(application_id: UUID) -> int:
    """−5 … +5, drawn from the application's id alone: the SHA-256 of its 16 bytes, modulo 11."""
    return int.from_bytes(sha256(application_id.bytes).digest()) % (2 * SPREAD + 1) - SPREAD
