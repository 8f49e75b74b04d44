"""What conditions leave possible, and whether one row takes all that another would."""

import pytest

from prequal.domain.policy.conditions import Box, Comparison, box, covers, is_empty
from prequal.domain.policy.loading import load
from prequal.domain.policy.scope import Scope
from tests.unit.domain.policy.documents import LIMITS, ROWS, a_document

BORDERS = LIMITS + "lowest = { score = 300 }\nhighest = { score = 900 }\nleast_inr = { rupees = 0, paise = 1 }\n"
USED = ROWS.replace("{cibil_score} is below", "{lowest} {highest} {least_inr} {cibil_score} is below")


@pytest.fixture(scope="module")
def scope() -> Scope:
    return load(a_document(limits=BORDERS, rows=USED)).scope


def a_box(scope: Scope, *conditions: str) -> Box:
    return box(scope, (Comparison(*condition.split()) for condition in conditions))


@pytest.mark.parametrize(
    ("outer", "inner", "whole"),
    [
        ("cibil_score < minimum_cibil_score", "cibil_score < minimum_cibil_score", True),
        ("cibil_score <= minimum_cibil_score", "cibil_score < minimum_cibil_score", True),
        ("cibil_score < minimum_cibil_score", "cibil_score <= minimum_cibil_score", False),
        ("cibil_score >= minimum_cibil_score", "cibil_score > minimum_cibil_score", True),
        ("cibil_score > minimum_cibil_score", "cibil_score >= minimum_cibil_score", False),
        ("cibil_score < highest", "cibil_score < minimum_cibil_score", True),
        ("cibil_score < minimum_cibil_score", "cibil_score < highest", False),
        ("cibil_score > lowest", "cibil_score > minimum_cibil_score", True),
        ("cibil_score <= highest", "", True),
        ("cibil_score < highest", "", False),
        ("cibil_score >= lowest", "", True),
        ("cibil_score > lowest", "", False),
        ("loan_amount_inr >= least_inr", "", True),
        ("loan_amount_inr > least_inr", "", False),
        ("", "cibil_score < minimum_cibil_score", True),
        ("loan_type = HOME", "loan_type = HOME", True),
        ("loan_type = HOME", "loan_type = AUTO", False),
        ("loan_type != HOME", "loan_type = AUTO", True),
        ("loan_type != HOME", "loan_type = HOME", False),
        ("loan_type != HOME", "", False),
        ("loan_type = HOME", "", False),
        ("monthly_income_inr < loan_amount_inr", "loan_amount_inr > monthly_income_inr", True),
        ("loan_amount_inr < monthly_income_inr", "monthly_income_inr > loan_amount_inr", True),
        ("monthly_income_inr <= loan_amount_inr", "loan_amount_inr > monthly_income_inr", True),
        ("loan_amount_inr >= monthly_income_inr", "monthly_income_inr < loan_amount_inr", True),
        ("monthly_income_inr < loan_amount_inr", "loan_amount_inr >= monthly_income_inr", False),
        ("monthly_income_inr < loan_amount_inr", "loan_amount_inr < monthly_income_inr", False),
        ("monthly_income_inr <= loan_amount_inr", "", False),
    ],
)
def test_one_row_takes_all_of_another_or_does_not(scope: Scope, outer: str, inner: str, whole: bool) -> None:
    boxes = (a_box(scope, *filter(None, [conditions])) for conditions in (outer, inner))

    assert covers(*boxes) is whole


@pytest.mark.parametrize(
    ("conditions", "nothing"),
    [
        (["cibil_score < minimum_cibil_score"], False),
        (["cibil_score < lowest"], True),
        (["cibil_score <= lowest"], False),
        (["cibil_score > highest"], True),
        (["cibil_score < minimum_cibil_score", "cibil_score >= minimum_cibil_score"], True),
        (["cibil_score <= minimum_cibil_score", "cibil_score >= minimum_cibil_score"], False),
        (["cibil_score < minimum_cibil_score", "cibil_score > minimum_cibil_score"], True),
        (["loan_amount_inr < least_inr"], True),
        (["loan_type = HOME", "loan_type = AUTO"], True),
        (["loan_type = HOME", "loan_type != AUTO"], False),
        (["loan_type != HOME", "loan_type != AUTO"], False),
        (["loan_type != HOME", "loan_type != AUTO", "loan_type != PERSONAL"], True),
        (["monthly_income_inr < loan_amount_inr", "monthly_income_inr >= loan_amount_inr"], True),
        (["monthly_income_inr <= loan_amount_inr", "loan_amount_inr <= monthly_income_inr"], False),
        (["monthly_income_inr < loan_amount_inr", "loan_amount_inr < monthly_income_inr"], True),
    ],
)
def test_conditions_contradict_one_another_or_do_not(scope: Scope, conditions: list[str], nothing: bool) -> None:
    assert is_empty(a_box(scope, *conditions)) is nothing
