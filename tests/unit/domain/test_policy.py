import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import oracle
from prequal.domain.application import Status
from prequal.domain.policy import OUTCOME, POLICY_VERSION, Rule, decide, reason_in_words

RUPEES = st.integers(1, 999_999_999_999).map(lambda paise: Decimal(paise).scaleb(-2))


@given(st.integers(300, 900), RUPEES, RUPEES)
def test_every_decision_is_the_oracles(score: int, income: Decimal, loan: Decimal) -> None:
    assert decide(score, income, loan).status.value == oracle.decision(score, income, loan)


@given(st.integers(640, 660), st.integers(1, 999_999_999_999 // 48), st.integers(-2, 2))
def test_decisions_at_the_border_are_the_oracles(score: int, paise: int, off: int) -> None:
    income, loan = Decimal(paise).scaleb(-2), Decimal(max(1, paise * 48 + off)).scaleb(-2)

    assert decide(score, income, loan).status.value == oracle.decision(score, income, loan)


@pytest.mark.parametrize(
    ("score", "income", "loan", "status", "rule"),
    [
        (300, "9999999999.99", "0.01", "REJECTED", "SCORE_BELOW_MINIMUM"),
        (649, "85000.00", "100.00", "REJECTED", "SCORE_BELOW_MINIMUM"),
        (650, "85000.00", "100.00", "PRE_APPROVED", "INCOME_COVERS_LOAN"),
        (650, "10000.00", "479999.99", "PRE_APPROVED", "INCOME_COVERS_LOAN"),
        (650, "10000.00", "480000.00", "MANUAL_REVIEW", "INCOME_DOES_NOT_COVER_LOAN"),
        (650, "10000.00", "480000.01", "MANUAL_REVIEW", "INCOME_DOES_NOT_COVER_LOAN"),
        (900, "0.01", "0.48", "MANUAL_REVIEW", "INCOME_DOES_NOT_COVER_LOAN"),
        (900, "0.01", "0.47", "PRE_APPROVED", "INCOME_COVERS_LOAN"),
        # 100000000 / 48 does not end: a division that rounds puts this one on the wrong side
        (900, "2083333.33", "100000000.00", "MANUAL_REVIEW", "INCOME_DOES_NOT_COVER_LOAN"),
        (900, "2083333.34", "100000000.00", "PRE_APPROVED", "INCOME_COVERS_LOAN"),
        # just on the border, where floats say the income is more
        (900, "129771994.78", "6229055749.44", "MANUAL_REVIEW", "INCOME_DOES_NOT_COVER_LOAN"),
        (900, "76383528.68", "3666409376.64", "MANUAL_REVIEW", "INCOME_DOES_NOT_COVER_LOAN"),
    ],
)
def test_each_rule_fires_on_its_side_of_the_border(score: int, income: str, loan: str, status: str, rule: str) -> None:
    decision = decide(score, Decimal(income), Decimal(loan))

    assert (decision.status, decision.rule) == (Status(status), Rule(rule))


def test_a_decision_tells_its_measures_and_thresholds_as_exact_text() -> None:
    measures = decide(790, Decimal("85000.00"), Decimal("1500000.00")).measures

    assert json.loads(json.dumps(measures)) == {
        "cibil_score": 790,
        "minimum_cibil_score": 650,
        "monthly_income_inr": "85000.00",
        "loan_amount_inr": "1500000.00",
        "term_months": 48,
        "income_over_term_inr": "4080000.00",
    }


def test_a_decision_carries_the_policys_version() -> None:
    assert decide(790, Decimal(1), Decimal(1)).policy_version == POLICY_VERSION == "v1"


def test_every_rule_leads_to_a_final_status_of_its_own() -> None:
    assert sorted(OUTCOME.values()) == sorted(set(Status) - {Status.PENDING})
    assert set(OUTCOME) == set(Rule)


MEASURES: dict[str, object] = {
    "cibil_score": 700,
    "minimum_cibil_score": 650,
    "monthly_income_inr": "50000.00",
    "loan_amount_inr": "2400000.00",
    "term_months": 48,
    "income_over_term_inr": "2400000.00",
}


def test_reason_names_the_figures_of_its_rule() -> None:
    assert reason_in_words("INCOME_DOES_NOT_COVER_LOAN", MEASURES) == (
        "score 700 reaches the minimum of 650, but 48 months of income, ₹2400000.00, are not more than the loan of "
        "₹2400000.00"
    )


@pytest.mark.parametrize("rule", Rule)
def test_every_rule_has_its_reason_in_words(rule: Rule) -> None:
    assert reason_in_words(rule, MEASURES).startswith("score 700 ")


def test_reason_of_an_unknown_rule_is_its_figures() -> None:
    assert reason_in_words("SCORE_TOO_ROUND", {"cibil_score": 700}) == "cibil_score 700"
