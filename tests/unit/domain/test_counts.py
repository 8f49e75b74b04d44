"""Numbers as people here read them, and words beside them."""

import pytest

from prequal.domain.counts import grouped, noun


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (999, "999"),
        (1_000, "1,000"),
        (99_999, "99,999"),
        (1_00_000, "1,00,000"),
        (12_34_567, "12,34,567"),
        (100_00_00_000, "1,00,00,00,000"),
        (-1_00_000, "-1,00,000"),
    ],
)
def test_number_is_grouped_as_in_india(number: int, text: str) -> None:
    assert grouped(number) == text


@pytest.mark.parametrize(
    ("number", "one", "several", "word"),
    [(1, "block", "", "block"), (0, "block", "", "blocks"), (2, "entry", "entries", "entries")],
)
def test_noun_is_one_or_several(number: int, one: str, several: str, word: str) -> None:
    assert noun(number, one, several) == word
