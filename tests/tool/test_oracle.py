"""The oracle itself, against the words of scoring and policy."""

import pytest

from harness import oracle

KEY = bytes(range(32))


@pytest.mark.parametrize(
    ("income", "loan_type", "points"),
    [
        ("75000.01", "AUTO", 690),
        ("75000.00", "AUTO", 650),
        ("30000.00", "AUTO", 650),
        ("29999.99", "AUTO", 630),
        ("50000.00", "PERSONAL", 640),
        ("50000.00", "HOME", 660),
        ("75000.01", "HOME", 700),
        ("29999.99", "PERSONAL", 620),
    ],
)
def test_the_oracle_adds_the_points_of_income_and_loan_type(income: str, loan_type: str, points: int) -> None:
    assert oracle.score(KEY, "PQRPS6789T", income, loan_type) == points + oracle.jitter(KEY, "PQRPS6789T")


def test_the_oracle_knows_the_documented_pans() -> None:
    assert oracle.outcome(KEY, "ABCDE1234F", "85000.00", "1500000.00", "HOME") == (790, "PRE_APPROVED")
    assert oracle.outcome(KEY, "FGHIJ5678K", "85000.00", "1500000.00", "HOME") == (610, "REJECTED")


@pytest.mark.parametrize(
    ("score", "income", "amount", "status"),
    [
        (649, "10000.00", "1.00", "REJECTED"),
        (650, "10000.00", "480000.00", "MANUAL_REVIEW"),
        (650, "10000.00", "479999.99", "PRE_APPROVED"),
    ],
)
def test_the_oracle_decides_at_the_borders(score: int, income: str, amount: str, status: str) -> None:
    assert oracle.decision(score, income, amount) == status


def test_the_oracle_refuses_less_than_a_paisa() -> None:
    with pytest.raises(AssertionError, match="paisa"):
        oracle.paise("0.001")
