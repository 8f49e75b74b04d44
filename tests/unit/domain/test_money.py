from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from prequal.domain.money import (
    LARGEST,
    SMALLEST,
    NotAnAmount,
    NotPositive,
    OutOfRange,
    amount,
    amount_from_text,
    rupees,
)

PAISE = st.integers(1, 999_999_999_999)


def spelt(paise: int) -> str:
    return f"{paise // 100}.{paise % 100:02d}"


@given(PAISE)
@example(1)
@example(999_999_999_999)
def test_every_amount_keeps_its_exact_value_and_has_two_decimals(paise: int) -> None:
    parsed = amount_from_text(spelt(paise))

    assert Fraction(parsed) == Fraction(paise, 100)
    assert parsed.as_tuple().exponent == -2


@given(PAISE, st.integers(0, 80))
def test_trailing_zeros_do_not_count_as_decimals(paise: int, zeros: int) -> None:
    parsed = amount_from_text(spelt(paise) + "0" * zeros)

    assert str(parsed) == spelt(paise)


@pytest.mark.parametrize(
    ("text", "value"),
    [("1", "1.00"), ("1.", "1.00"), (".5", "0.50"), ("007.10", "7.10"), ("0.01", "0.01"), ("9999999999.99", None)],
)
def test_digits_and_one_point_are_an_amount(text: str, value: str | None) -> None:
    assert str(amount_from_text(text)) == (value or text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "-",
        "-.",
        "+1",
        "1e3",
        "1E3",
        " 1",
        "1 ",
        "1\n",
        "1,000",
        "1_000",
        "0x1",
        "1.2.3",
        "--1",
        "NaN",
        "Infinity",
    ],
)
def test_other_spellings_are_no_amount(text: str) -> None:
    with pytest.raises(NotAnAmount, match=r"^must be a decimal number$"):
        amount_from_text(text)


@pytest.mark.parametrize("text", ["१२३", "１２３", "1٫5", "²", "₹1"])
def test_digits_of_other_scripts_are_no_amount(text: str) -> None:
    with pytest.raises(NotAnAmount):
        amount_from_text(text)


def test_a_text_of_a_hundred_characters_is_still_read() -> None:
    assert amount_from_text("1".zfill(100)) == 1


def test_a_text_of_over_a_hundred_characters_is_no_amount() -> None:
    with pytest.raises(NotAnAmount):
        amount_from_text("1".zfill(101))


@pytest.mark.parametrize("text", ["0", "-0", "0.00", "-1", "-0.001", "-99999999999999"])
def test_zero_and_less_is_not_positive(text: str) -> None:
    with pytest.raises(NotPositive, match=r"^must be greater than zero$"):
        amount_from_text(text)


@pytest.mark.parametrize("text", ["10000000000", "9999999999.991", "10000000000.00", "9" * 100])
def test_more_than_the_largest_amount_is_out_of_range(text: str) -> None:
    with pytest.raises(OutOfRange, match=r"^must be at most 9999999999\.99$"):
        amount_from_text(text)


@pytest.mark.parametrize("text", ["0.001", "0.009", "0.011", "1.005", "0.01" + "0" * 60 + "1", "9999999998.999"])
def test_a_third_decimal_is_out_of_range(text: str) -> None:
    with pytest.raises(OutOfRange, match=r"^must have at most two decimals$"):
        amount_from_text(text)


@given(PAISE, st.integers(-40, 9))
def test_an_exponent_changes_the_spelling_and_not_the_value(paise: int, exponent: int) -> None:
    number = Decimal(paise).scaleb(-2).normalize()
    shifted = Decimal(f"{number.scaleb(-exponent):f}e{exponent}")

    assert amount(shifted) == number


@pytest.mark.parametrize("number", ["1e10", "1E+1000", "1e999999"])
def test_a_huge_exponent_is_out_of_range_at_once(number: str) -> None:
    with pytest.raises(OutOfRange):
        amount(Decimal(number))


@pytest.mark.parametrize("number", ["1e-3", "1e-1000", "1e-999999"])
def test_a_tiny_exponent_is_out_of_range_at_once(number: str) -> None:
    with pytest.raises(OutOfRange):
        amount(Decimal(number))


@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_amount_that_passes_fits_the_database_and_another_says_why(number: Decimal) -> None:
    try:
        passed = amount(number)
    except NotPositive:
        assert number <= 0
    except OutOfRange:
        assert number > LARGEST or Fraction(number) * 100 % 1
    else:
        assert SMALLEST <= passed == number <= LARGEST
        assert passed.as_tuple().exponent == -2


@given(st.text(max_size=120))
def test_any_text_is_an_exact_amount_or_refused(text: str) -> None:
    try:
        parsed = amount_from_text(text)
    except (NotAnAmount, NotPositive, OutOfRange):
        return

    assert Decimal(text) == parsed


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("0.01", "₹0.01"),
        ("999.99", "₹999.99"),
        ("1000", "₹1,000.00"),
        ("99999.50", "₹99,999.50"),
        ("100000", "₹1,00,000.00"),
        ("1234567.50", "₹12,34,567.50"),
        ("12345678", "₹1,23,45,678.00"),
        ("9999999999.99", "₹9,99,99,99,999.99"),
    ],
)
def test_amounts_are_grouped_as_in_india(amount: str, text: str) -> None:
    assert rupees(Decimal(amount)) == text
