"""The simulated CIBIL bureau (TransUnion CIBIL scores run from 300 to 900).

Invariant: a pure function of the person and the application, so that a redelivered event gets the same score, and an
applicant who was rejected cannot apply again until a kinder number is drawn.
"""

from collections.abc import Mapping
from decimal import Decimal

from prequal.domain.application import LoanType
from prequal.domain.pan import Pan

LOWEST_SCORE = 300
HIGHEST_SCORE = 900
BASE_SCORE = 650

HIGH_INCOME_INR = Decimal(75_000)
LOW_INCOME_INR = Decimal(30_000)
HIGH_INCOME_POINTS = 40
LOW_INCOME_POINTS = -20
LOAN_TYPE_POINTS = {LoanType.PERSONAL: -10, LoanType.HOME: 10, LoanType.AUTO: 0}
SPREAD = 5


def cibil_score(
    pan: Pan, draw: bytes, monthly_income_inr: Decimal, loan_type: LoanType, published: Mapping[Pan, int | None]
) -> int | None:
    """The bureau's score, 300 … 900: the published one of a sandbox PAN, else base and points, spread by ± 5, clamped.

    None where the bureau has no file, which only a sandbox PAN can show.

    Args:
        pan: whose score it is.
        draw: the PAN's keyed hash for draws (`security.draws`), the same for every application of the PAN.
        monthly_income_inr: more or less of it gives or takes points.
        loan_type: likewise.
        published: the sandbox's scores (`domain.sandbox`); empty where it is off.
    """
    if pan in published:
        return published[pan]
    score = BASE_SCORE + income_points(monthly_income_inr) + LOAN_TYPE_POINTS[loan_type] + spread(draw)
    return min(max(score, LOWEST_SCORE), HIGHEST_SCORE)


def income_points(monthly_income_inr: Decimal) -> int:
    """40 above ₹ 75,000 a month, −20 below ₹ 30,000, nothing between; the limits themselves are between."""
    if monthly_income_inr > HIGH_INCOME_INR:
        return HIGH_INCOME_POINTS
    return LOW_INCOME_POINTS if monthly_income_inr < LOW_INCOME_INR else 0


def spread(draw: bytes) -> int:
    """−5 … +5, from the draw alone: its bytes as a big-endian number, modulo 11."""
    return int.from_bytes(draw) % (2 * SPREAD + 1) - SPREAD
