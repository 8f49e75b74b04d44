"""`security.score_draws`: its key is not shown. What it draws is tried with the scores it makes."""

from prequal.security.score_draws import ScoreDraws


def test_key_of_the_draws_is_not_shown() -> None:
    key = b"k" * 32

    shown = repr(ScoreDraws(key))

    assert shown == "ScoreDraws()"
