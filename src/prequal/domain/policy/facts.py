"""The facts that a policy may read, each of one kind.

Invariant: amounts are whole paise and shares whole basis points, so that no comparison rounds.
"""

from decimal import Decimal
from enum import Enum
from typing import Final, NamedTuple

from prequal.domain.application import LoanType
from prequal.domain.scoring import HIGHEST_SCORE, LOWEST_SCORE

HIGHEST_PAISE: Final = 999_999_999_999


class Kind(Enum):
    """What a name stands for; only equal kinds are compared."""

    SCORE = "a score"
    MONEY = "an amount"
    SHARE = "a share"
    MONTHS = "a number of months"
    LOAN_TYPE = "a loan type"


class Facts(NamedTuple):
    """What is known of an application; None is a fact that is missing. Amounts are paise."""

    cibil_score: int | None
    monthly_income_inr: int | None
    loan_amount_inr: int | None
    loan_type: LoanType | None
    stated_obligations_inr: int | None = None

    @classmethod
    def of(
        cls, cibil_score: int | None, monthly_income_inr: Decimal, loan_amount_inr: Decimal, loan_type: LoanType
    ) -> "Facts":
        """The facts of an application, of amounts in rupees with at most two decimals."""
        return cls(cibil_score, int(monthly_income_inr * 100), int(loan_amount_inr * 100), loan_type)


KINDS: Final = {
    "cibil_score": Kind.SCORE,
    "monthly_income_inr": Kind.MONEY,
    "loan_amount_inr": Kind.MONEY,
    "loan_type": Kind.LOAN_TYPE,
    "stated_obligations_inr": Kind.MONEY,
}
"""The kind of each fact, in the order of `Facts`."""

NEVER_KNOWN: Final = frozenset({"stated_obligations_inr"})
"""The facts that no application has, because nobody is asked for them."""

RANGES: Final = {
    "cibil_score": range(LOWEST_SCORE, HIGHEST_SCORE + 1),
    "monthly_income_inr": range(1, HIGHEST_PAISE + 1),
    "loan_amount_inr": range(1, HIGHEST_PAISE + 1),
    "stated_obligations_inr": range(HIGHEST_PAISE + 1),
}
"""The values that a fact can have, where it is there."""
