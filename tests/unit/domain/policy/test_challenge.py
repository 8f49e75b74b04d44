"""Whom a challenger decides."""

import pytest

from prequal.domain.policy.challenge import is_challenged


@pytest.mark.parametrize(
    ("draw", "share", "challenged"),
    [(0, 1, True), (1, 1, False), (99, 100, True), (100, 100, False), (0, 0, False), (None, 5_000, False)],
)
def test_share_is_of_the_lowest_draws_and_never_of_an_application_without_one(
    draw: int | None, share: int, challenged: bool
) -> None:
    assert is_challenged(draw, share) is challenged
