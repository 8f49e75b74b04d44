"""`security.draws`: numbers that are a PAN's own, as an oracle draws them too; that of a score is tried with it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import oracle
from prequal.domain.pan import Pan
from prequal.security.draws import ChallengeDraws, ScoreDraws
from tests.builders import a_key


@given(st.from_regex(r"[A-Z]{3}[ABCFGHJLPT][A-Z][0-9]{4}[A-Z]", fullmatch=True))
def test_draw_is_the_oracles_and_the_same_at_every_application(number: str) -> None:
    draws = {ChallengeDraws(a_key(1)).draw(Pan(number)) for _ in range(2)}

    assert draws == {oracle.challenge_draw(a_key(1), number)}


def test_draws_are_shared_out_evenly() -> None:
    draws = ChallengeDraws(a_key(1))

    tenth = sum(draws.draw(Pan(f"ABCDE{number:04}F")) < 1000 for number in range(10_000))

    assert 900 < tenth < 1100  # more than three standard deviations


@pytest.mark.parametrize("kind", [ScoreDraws, ChallengeDraws])
def test_key_of_the_draws_is_not_shown(kind: type[ScoreDraws | ChallengeDraws]) -> None:
    assert repr(kind(a_key(1))) == f"{kind.__name__}()"
