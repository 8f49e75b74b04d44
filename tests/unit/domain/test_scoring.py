from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from harness import oracle
from prequal.domain import sandbox, scoring
from prequal.domain.application import LoanType
from prequal.domain.pan import Pan
from prequal.domain.scoring import cibil_score, income_points, spread
from prequal.security.draws import ScoreDraws
from tests.builders import PAN, a_key
from tests.support.pans import NUMBERS

INCOMES = st.integers(1, 999_999_999_999).map(lambda paise: Decimal(paise) / 100)
BORDERS = st.sampled_from(["0.01", "29999.99", "30000.00", "30000.01", "74999.99", "75000.00", "75000.01"]).map(Decimal)
LOAN_TYPES = st.sampled_from(LoanType)
KEYS = st.binary(min_size=32, max_size=32)
KEY = a_key(1)


def a_score(
    number: str, income: Decimal, loan_type: LoanType, *, key: bytes = KEY, sandbox_on: bool = False
) -> int | None:
    pan = Pan(number)
    return cibil_score(pan, ScoreDraws(key).draw(pan), income, loan_type, sandbox.SCORES if sandbox_on else {})


@given(KEYS, NUMBERS, INCOMES | BORDERS, LOAN_TYPES, st.booleans())
@example(KEY, "SANDB0649B", Decimal("85000.00"), LoanType.HOME, True)
@example(KEY, "SANDB0649B", Decimal("85000.00"), LoanType.HOME, False)
def test_every_score_is_the_oracles(
    key: bytes, number: str, income: Decimal, loan_type: LoanType, sandbox_on: bool
) -> None:
    score = a_score(number, income, loan_type, key=key, sandbox_on=sandbox_on)

    assert score == oracle.score(key, number, income, loan_type.value, sandbox_on)


@given(KEYS, NUMBERS, INCOMES, LOAN_TYPES)
def test_a_score_is_the_same_each_time_and_within_bounds(
    key: bytes, number: str, income: Decimal, loan_type: LoanType
) -> None:
    score = a_score(number, income, loan_type, key=key)

    assert score is not None
    assert 300 <= score <= 900
    assert score == a_score(number, Decimal(str(income)), LoanType(loan_type.value), key=key)


@pytest.mark.parametrize(("number", "score"), oracle.PUBLISHED.items())
@given(key=KEYS, income=INCOMES, loan_type=LOAN_TYPES)
def test_sandbox_pans_have_their_published_score_whatever_else(
    number: str, score: int | None, key: bytes, income: Decimal, loan_type: LoanType
) -> None:
    assert a_score(number, income, loan_type, key=key, sandbox_on=True) == score


@pytest.mark.parametrize("number", oracle.PUBLISHED)
def test_without_the_sandbox_its_pans_are_scored_like_any(number: str) -> None:
    assert a_score(number, Decimal(50_000), LoanType.AUTO) in range(645, 656)


def test_sandbox_pans_are_of_no_holder_type_of_the_tax_department() -> None:
    assert {pan.masked for pan in sandbox.SCORES} == {f"XXXXX{number[5:]}" for number in oracle.PUBLISHED}
    assert not {pan.holder_type for pan in sandbox.SCORES} & set("ABCEFGHJKLPT")


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


# Pinned: a score that changes for a person is another fact about the same one, and a second try for the rejected.
@pytest.mark.parametrize(
    ("number", "income", "loan_type", "score"),
    [
        ("PQRPS6789T", "85000.00", "AUTO", 687),
        ("LMNPS1234K", "85000.00", "HOME", 696),
        ("AAAPA0001A", "20000.00", "PERSONAL", 621),
        ("ZZZPZ9999Z", "50000.00", "PERSONAL", 640),
        ("ABCDE1234F", "75000.00", "AUTO", 647),
    ],
)
def test_known_applicants_keep_their_score(number: str, income: str, loan_type: str, score: int) -> None:
    assert a_score(number, Decimal(income), LoanType(loan_type)) == score


def test_every_application_of_a_pan_has_the_same_draw() -> None:
    incomes = [Decimal(income) for income in ("30000.00", "50000.00", "75000.00")]

    assert len({a_score("PQRPS6789T", income, LoanType.AUTO) for income in incomes}) == 1


def test_another_key_gives_other_draws() -> None:
    draws = {spread(ScoreDraws(a_key(number)).draw(Pan(PAN))) for number in range(100)}

    assert len(draws) == 11


def test_the_spread_reaches_every_value_from_minus_five_to_five() -> None:
    assert {spread(draw.to_bytes(32)) for draw in range(300)} == set(range(-5, 6))


@given(KEYS, NUMBERS)
@example(KEY, "PQRPS6789T")
def test_the_spread_is_the_oracles(key: bytes, number: str) -> None:
    assert spread(ScoreDraws(key).draw(Pan(number))) == oracle.jitter(key, number)


@pytest.mark.parametrize(("base", "bound"), [(10_000, 900), (-10_000, 300)])
def test_a_score_is_clamped(monkeypatch: pytest.MonkeyPatch, base: int, bound: int) -> None:
    monkeypatch.setattr(scoring, "BASE_SCORE", base)

    assert a_score("PQRPS6789T", Decimal(50_000), LoanType.AUTO) == bound
