from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from harness import oracle
from prequal.domain import scoring
from prequal.domain.application import LoanType
from prequal.domain.scoring import cibil_score, income_points, spread
from tests.builders import APPLICATION_ID, a_pan
from tests.unit.domain.test_pan import NUMBERS

INCOMES = st.integers(1, 999_999_999_999).map(lambda paise: Decimal(paise) / 100)
BORDERS = st.sampled_from(["0.01", "29999.99", "30000.00", "30000.01", "74999.99", "75000.00", "75000.01"]).map(Decimal)
LOAN_TYPES = st.sampled_from(LoanType)


@given(st.uuids(), NUMBERS, INCOMES | BORDERS, LOAN_TYPES)
def test_every_score_is_the_oracles(id_: UUID, number: str, income: Decimal, loan_type: LoanType) -> None:
    score = cibil_score(id_, a_pan(number), income, loan_type)

    assert score == oracle.score(id_, number, income, loan_type.value)


@given(st.uuids(), NUMBERS, INCOMES, LOAN_TYPES)
def test_a_score_is_the_same_each_time_and_within_bounds(
    id_: UUID, number: str, income: Decimal, loan_type: LoanType
) -> None:
    score = cibil_score(id_, a_pan(number), income, loan_type)

    assert 300 <= score <= 900
    assert score == cibil_score(UUID(str(id_)), a_pan(number), Decimal(str(income)), LoanType(loan_type.value))


@pytest.mark.parametrize(("number", "score"), [("ABCDE1234F", 790), ("FGHIJ5678K", 610)])
@given(id_=st.uuids(), income=INCOMES, loan_type=LOAN_TYPES)
def test_the_documented_pans_have_their_own_score_whatever_else(
    number: str, score: int, id_: UUID, income: Decimal, loan_type: LoanType
) -> None:
    assert cibil_score(id_, a_pan(number), income, loan_type) == score


@pytest.mark.parametrize(
    ("income", "points"),
    [
        ("0.01", -20),
        ("29999.99", -20),
        ("30000.00", 0),
        ("30000.01", 0),
        ("75000.00", 0),
        ("75000.01", 40),
        ("9999999999.99", 40),
    ],
)
def test_income_counts_above_75000_and_below_30000(income: str, points: int) -> None:
    assert income_points(Decimal(income)) == points


# Pinned: a score that changes for an application that was scored already is another fact under the same event id.
@pytest.mark.parametrize(
    ("id_", "income", "loan_type", "score"),
    [
        ("00000000-0000-0000-0000-000000000000", "85000.00", "AUTO", 695),
        ("01935f6e-7c1a-7b52-9e0b-3f6f2a9d1c44", "85000.00", "HOME", 696),
        ("01935f6e-7c1a-7b52-9e0b-3f6f2a9d1c45", "20000.00", "PERSONAL", 622),
        ("ffffffff-ffff-ffff-ffff-ffffffffffff", "50000.00", "PERSONAL", 640),
        ("6f0f5c6e-6d0f-4c39-9d3b-5f1d6f0c2a11", "75000.00", "AUTO", 655),
    ],
)
def test_known_applications_keep_their_score(id_: str, income: str, loan_type: str, score: int) -> None:
    assert cibil_score(UUID(id_), a_pan(), Decimal(income), LoanType(loan_type)) == score


def test_the_spread_reaches_every_value_from_minus_five_to_five() -> None:
    assert {spread(UUID(int=number)) for number in range(300)} == set(range(-5, 6))


@given(st.uuids())
@example(APPLICATION_ID)
def test_the_spread_is_the_oracles(id_: UUID) -> None:
    assert spread(id_) == oracle.jitter(id_) == oracle.jitter(str(id_))


@pytest.mark.parametrize(("base", "bound"), [(10_000, 900), (-10_000, 300)])
def test_a_score_is_clamped(monkeypatch: pytest.MonkeyPatch, base: int, bound: int) -> None:
    monkeypatch.setattr(scoring, "BASE_SCORE", base)

    assert cibil_score(APPLICATION_ID, a_pan(), Decimal(50_000), LoanType.AUTO) == bound
