import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import oracle
from prequal.domain.application import LoanType, Status
from prequal.domain.policy import packaged
from prequal.domain.policy.facts import Facts
from prequal.domain.policy.policy import Decision

HASH = "f0be296734d765d8df95af9e19010c046b0b9c42003a1b007f8449d0a987a8d7"
"""Of a released document, which is never changed: another policy is another version."""

RUPEES = st.integers(1, 999_999_999_999).map(lambda paise: Decimal(paise).scaleb(-2))


def test_each_reason_has_its_final_status() -> None:
    assert packaged.outcomes() == {
        "SCORE_BELOW_MINIMUM": Status.REJECTED,
        "INCOME_COVERS_LOAN": Status.PRE_APPROVED,
        "INCOME_DOES_NOT_COVER_LOAN": Status.MANUAL_REVIEW,
        "NO_CREDIT_FILE": Status.MANUAL_REVIEW,
        "INCOME_MISSING": Status.MANUAL_REVIEW,
        "AMOUNT_MISSING": Status.MANUAL_REVIEW,
    }


def test_facts_of_an_application_are_in_paise() -> None:
    facts = Facts.of(700, Decimal("85000.50"), Decimal("1500000.07"), LoanType.AUTO)

    assert facts == (700, 8_500_050, 150_000_007, LoanType.AUTO, None)


def test_there_is_no_document_of_an_unknown_version() -> None:
    assert (packaged.text_of("v0"), packaged.policy_of("v0")) == (None, None)


def decide(score: int | None, income: Decimal, loan: Decimal) -> Decision:
    policy = packaged.policy_of("v1")
    assert policy is not None
    return policy.decide(Facts.of(score, income, loan, LoanType.HOME))


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

    assert (decision.status, decision.code) == (Status(status), rule)


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


def test_a_decision_carries_the_policys_version_and_hash() -> None:
    policy = decide(790, Decimal(1), Decimal(1)).policy

    assert (policy.version, policy.hash) == ("v1", HASH)


def test_released_version_is_the_one_that_decides() -> None:
    assert packaged.CURRENT in packaged.versions()
    assert packaged.current() is packaged.policy_of(packaged.CURRENT)


def test_every_row_leads_to_a_final_status_of_its_own() -> None:
    rows = packaged.current().document.rows

    assert sorted(row.outcome for row in rows) == sorted(set(Status) - {Status.PENDING})


def test_applicant_without_a_file_is_reviewed_by_people() -> None:
    decision = decide(None, Decimal("85000.00"), Decimal("100.00"))

    assert (decision.status, decision.code) == (Status.MANUAL_REVIEW, "NO_CREDIT_FILE")
    assert oracle.decision(None, "85000.00", "100.00") == "MANUAL_REVIEW"


def test_unknown_version_has_neither_text_nor_policy() -> None:
    assert (packaged.text_of("v0"), packaged.policy_of("v0")) == (None, None)
