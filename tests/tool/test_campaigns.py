"""What a campaign plays; the rows of overload write their crowd's posts down for the checker."""

from faults.checker.reading import PANS_SEARCHED_FOR, _searched_for
from faults.run import chosen


def test_short_campaign_leaves_out_what_takes_minutes_unless_it_is_named() -> None:
    minutes = {each.name for each in chosen("") if each.takes_minutes}

    assert minutes
    assert not minutes & {each.name for each in chosen("", short=True)}
    assert {each.name for each in chosen(",".join(minutes), short=True)} == minutes


def test_of_a_crowds_pans_a_thousand_are_searched_for() -> None:
    pans = {f"ABCDE{number:04}F" for number in range(3000)}

    assert len(_searched_for(pans | {"no PAN"})) == PANS_SEARCHED_FOR
    assert _searched_for({"no PAN", "ABCDE1234F"}) == ["ABCDE1234F"]


def test_what_is_left_out_of_a_campaign_and_what_is_left_are_all_of_it() -> None:
    every, some = {each.name for each in chosen("")}, {each.name for each in chosen("1,poison")}

    assert "poison" in some
    assert {each.name for each in chosen("", but="1,poison")} == every - some
