"""The lender's credit policy: from a score, an income and an amount to a status and the reason for it.

Invariant: exact decimal arithmetic and no division, so that the border itself is always on the same side.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from prequal.domain.application import Status

POLICY_VERSION = "v1"
MINIMUM_SCORE = 650
TERM_MONTHS = 48


class Rule(StrEnum):
    """The rule of the policy that decided; stored with the decision and shown to risk officers."""

    SCORE_BELOW_MINIMUM = "SCORE_BELOW_MINIMUM"
    INCOME_COVERS_LOAN = "INCOME_COVERS_LOAN"
    INCOME_DOES_NOT_COVER_LOAN = "INCOME_DOES_NOT_COVER_LOAN"


OUTCOME = {
    Rule.SCORE_BELOW_MINIMUM: Status.REJECTED,
    Rule.INCOME_COVERS_LOAN: Status.PRE_APPROVED,
    Rule.INCOME_DOES_NOT_COVER_LOAN: Status.MANUAL_REVIEW,
}


_REASONS = {
    Rule.SCORE_BELOW_MINIMUM: "score {cibil_score} is below the minimum of {minimum_cibil_score}",
    Rule.INCOME_COVERS_LOAN: (
        "score {cibil_score} reaches the minimum of {minimum_cibil_score}, and {term_months} months of income, "
        "₹{income_over_term_inr}, are more than the loan of ₹{loan_amount_inr}"
    ),
    Rule.INCOME_DOES_NOT_COVER_LOAN: (
        "score {cibil_score} reaches the minimum of {minimum_cibil_score}, but {term_months} months of income, "
        "₹{income_over_term_inr}, are not more than the loan of ₹{loan_amount_inr}"
    ),
}


@dataclass(frozen=True, slots=True)
class Decision:
    """A decided application: what was decided, by which rule, from which figures, under which policy."""

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


def reason_in_words(rule: str, measures: Mapping[str, object]) -> str:
    """The rule and its figures in a sentence; of a rule that this code does not know, the figures alone."""
    try:
        return _REASONS[Rule(rule)].format_map(measures)
    except (ValueError, KeyError):
        return ", ".join(f"{name} {value}" for name, value in measures.items())


def _rule(cibil_score: int, monthly_income_inr: Decimal, loan_amount_inr: Decimal) -> Rule:
    if cibil_score < MINIMUM_SCORE:
        return Rule.SCORE_BELOW_MINIMUM
    if monthly_income_inr * TERM_MONTHS > loan_amount_inr:
        return Rule.INCOME_COVERS_LOAN
    return Rule.INCOME_DOES_NOT_COVER_LOAN
