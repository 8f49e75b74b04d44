"""The lender's credit policy: from a score, an income and an amount to a status and the reason for it.

Invariant: exact decimal arithmetic and no division, so that the border itself is always on the same side.
"""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from prequal.domain.application import Status

POLICY_VERSION = "v1"
MINIMUM_SCORE = 650
TERM_MONTHS = 48


class Rule(StrEnum):
    """DeadLetterSelection rule of the policy fired; stored with the decision and shown to risk officers."""

    SCORE_BELOW_MINIMUM = "SCORE_BELOW_MINIMUM"
    INCOME_COVERS_LOAN = "INCOME_COVERS_LOAN"
    INCOME_DOES_NOT_COVER_LOAN = "INCOME_DOES_NOT_COVER_LOAN"


OUTCOME = {
    Rule.SCORE_BELOW_MINIMUM: Status.REJECTED,
    Rule.INCOME_COVERS_LOAN: Status.PRE_APPROVED,
    Rule.INCOME_DOES_NOT_COVER_LOAN: Status.MANUAL_REVIEW,
}


@dataclass(frozen=True, slots=True)
class Decision:
    """A settled application: what was decided, by which rule, from which figures, under which policy."""

    rule: Rule
    cibil_score: int
    monthly_income_inr: Decimal
    loan_amount_inr: Decimal
    policy_version: str = POLICY_VERSION

    @property
    def status(self) -> Status:
        """The final status that the rule leads to."""
        return OUTCOME[self.rule]

    @property
    def measures(self) -> dict[str, str | int]:
        """The measured values beside their thresholds; money as decimal strings of rupees."""
        return {
            "cibil_score": self.cibil_score,
            "minimum_cibil_score": MINIMUM_SCORE,
            "monthly_income_inr": str(self.monthly_income_inr),
            "loan_amount_inr": str(self.loan_amount_inr),
            "term_months": TERM_MONTHS,
            "income_over_term_inr": str(self.monthly_income_inr * TERM_MONTHS),
        }


def decide(cibil_score: int, monthly_income_inr: Decimal, loan_amount_inr: Decimal) -> Decision:
    """Apply policy v1: minimum score first, then the income of 48 months against the amount."""
    return Decision(
        _rule(cibil_score, monthly_income_inr, loan_amount_inr), cibil_score, monthly_income_inr, loan_amount_inr
    )


def _rule(cibil_score: int, monthly_income_inr: Decimal, loan_amount_inr: Decimal) -> Rule:
    if cibil_score < MINIMUM_SCORE:
        return Rule.SCORE_BELOW_MINIMUM
    if monthly_income_inr * TERM_MONTHS > loan_amount_inr:
        return Rule.INCOME_COVERS_LOAN
    return Rule.INCOME_DOES_NOT_COVER_LOAN
