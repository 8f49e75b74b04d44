"""`console.forms`: numbers that people type."""

import pytest

from prequal.console.forms import whole_number


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1", 1),
        ("480", 480),
        ("007", 7),
        ("0", None),
        ("481", None),
        ("", None),
        ("-1", None),
        ("+1", None),
        ("1.0", None),
        ("1_0", None),
        ("٣", None),
        ("²", None),
        ("9" * 5000, None),
    ],
)
def test_number_is_of_plain_digits_and_within_its_bounds(text: str, number: int | None) -> None:
    assert whole_number(text, 1, 480) == number
