"""`security.challenge_draws`: a number that is a PAN's own, as an oracle draws it too."""

from hypothesis import given
from hypothesis import strategies as st

from harness import oracle
from prequal.domain.pan import Pan
from prequal.security.challenge_draws import ChallengeDraws
from tests.builders import a_key


@given(st.from_regex(r"[A-Z]{3}[ABCFGHJLPT][A-Z][0-9]{4}[A-Z]", fullmatch=True))
def test_draw_is_the_oracles_and_the_same_at_every_application(number: str) -> None:
    draws = {ChallengeDraws(a_key(1)).draw(Pan(number)) for _ in range(2)}

    assert draws == {oracle.challenge_draw(a_key(1), number)}


def test_draws_are_shared_out_evenly() -> None:
    draws = ChallengeDraws(a_key(1))

    tenth = sum(draws.draw(Pan(f"ABCDE{number:04}F")) < 1000 for number in range(10_000))

    assert 900 < tenth < 1100  # more than three standard deviations


def test_key_of_the_draws_is_not_shown() -> None:
    assert repr(ChallengeDraws(a_key(1))) == "ChallengeDraws()"
