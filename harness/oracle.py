"""Scoring and policy worked out a second time, by other means: whole paise and fractions, and nothing of `prequal`.

Who doubts a score or a decision asks here. Amounts may be given as strings, decimals or whole rupees.
"""

import hmac
from decimal import Decimal
from fractions import Fraction
from hashlib import sha256

Rupees = str | Decimal | int

PUBLISHED: dict[str, int | None] = {
    "ABCDE1234F": 790,
    "FGHIJ5678K": 610,
    "SANDB0300A": 300,
    "SANDB0649B": 649,
    "SANDB0650C": 650,
    "SANDB0900D": 900,
    "SANDB0409E": 790,
    "SANDB0404F": None,
}
"""The sandbox's PANs, by what docs/sandbox.md says; None is one of which the bureau has no file."""


def score(key: bytes, pan: str, monthly_income_inr: Rupees, loan_type: str, sandbox: bool = True) -> int | None:
    """The CIBIL score of an application; the system draws with `key`, `SCORE_DRAW_KEY` or else `ENCRYPTION_KEY`."""
    if sandbox and pan in PUBLISHED:
        return PUBLISHED[pan]
    income = paise(monthly_income_inr)
    parts = [
        650,
        40 * (income > 75_000_00),
        -20 * (income < 30_000_00),
        {"PERSONAL": -10, "HOME": 10, "AUTO": 0}[loan_type],
        jitter(key, pan),
    ]
    return sorted((300, sum(parts), 900))[1]


def bureau_score(pan: str) -> int | None:
    """What `prequal bureau` says of a PAN: its key is all zeros, and it gives no points for income or loan."""
    return score(bytes(32), pan, 50_000, "AUTO")


def decision(cibil_score: int | None, monthly_income_inr: Rupees, loan_amount_inr: Rupees, minimum: int = 650) -> str:
    """The final status: with a division this time, which a fraction does not round."""
    instalment = Fraction(paise(loan_amount_inr), 48)
    if cibil_score is None:
        return "MANUAL_REVIEW"
    if cibil_score <= minimum - 1:
        return "REJECTED"
    return "MANUAL_REVIEW" if paise(monthly_income_inr) <= instalment else "PRE_APPROVED"


def outcome(
    key: bytes, pan: str, monthly_income_inr: Rupees, loan_amount_inr: Rupees, loan_type: str
) -> tuple[int | None, str]:
    """Score and final status of an application."""
    points = score(key, pan, monthly_income_inr, loan_type)
    return points, decision(points, monthly_income_inr, loan_amount_inr)


def jitter(key: bytes, pan: str) -> int:
    """−5 … +5: HMAC-SHA-256 of the PAN, read as a big-endian number digit by digit, modulo 11, less 5.

    Its key is what RFC 5869 makes of `key`: extracted with a salt of zeros, expanded by one block.
    """
    return _drawn(key, b"prequal score draws", pan, 11) - 5


def challenge_draw(key: bytes, pan: str) -> int:
    """0 … 9,999: who drew less than a challenger's basis points is decided by it; keyed as `jitter` is."""
    return _drawn(key, b"prequal policy challenge draws", pan, 10_000)


def _drawn(key: bytes, purpose: bytes, pan: str, kinds: int) -> int:
    extracted = hmac.digest(bytes(32), key, sha256)
    draws = hmac.digest(extracted, purpose + b"\x01", sha256)
    remainder = 0
    for byte in hmac.digest(draws, pan.encode(), sha256):
        remainder = (remainder * 256 + byte) % kinds
    return remainder


def paise(rupees: Rupees) -> int:
    """Rupees in whole paise; an amount that has none is no amount."""
    exact = Fraction(str(rupees)) * 100
    assert exact.denominator == 1, "less than a paisa"
    return exact.numerator
