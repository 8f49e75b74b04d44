"""The judgement of what mutation left."""

import pytest

from tools.mutation import Known, function_of, judge, known, outlived, report, results

NAMES = [f"prequal.domain.pan.x_masked__mutmut_{number}" for number in range(1, 101)]
ALL_FOUND = dict.fromkeys(NAMES, "killed")


def with_survivors(count: int) -> dict[str, str]:
    return ALL_FOUND | dict.fromkeys(NAMES[:count], "survived")


@pytest.mark.parametrize(
    ("mutant", "function"),
    [
        ("prequal.domain.pan.xǁPanǁ__format____mutmut_4", "prequal.domain.pan.Pan.__format__"),
        ("prequal.domain.pan.x__mask__mutmut_12", "prequal.domain.pan._mask"),
    ],
)
def test_mutant_is_of_a_function(mutant: str, function: str) -> None:
    assert function_of(mutant) == function


def test_all_found_and_nothing_listed_is_right() -> None:
    assert judge(ALL_FOUND, []) == []


def test_survivors_are_listed_with_their_number() -> None:
    listed = [Known("prequal.domain.pan.masked", 2, "the words are free")]

    assert (judge(with_survivors(2), listed), outlived(with_survivors(2), listed)) == ([], [])
    assert "3 survive, and 2 are listed" in judge(with_survivors(3), listed)[0]


def test_list_that_says_more_than_there_are_is_no_failure_and_said() -> None:
    listed = [Known("prequal.domain.pan.masked", 2, "the words are free")]

    assert judge(with_survivors(1), listed) == judge(ALL_FOUND, listed) == []
    assert "1 survive, and 2 are listed" in outlived(with_survivors(1), listed)[0]
    assert "0 survive, and 2 are listed" in outlived(ALL_FOUND, listed)[0]


def test_survivors_are_at_most_fifteen_of_a_hundred_even_if_all_are_listed() -> None:
    assert judge(with_survivors(15), [Known("prequal.domain.pan.masked", 15, "")]) == []
    assert (
        "84.0% of the mutants are found" in judge(with_survivors(16), [Known("prequal.domain.pan.masked", 16, "")])[0]
    )


@pytest.mark.parametrize("ended", ["no tests", "not checked", "skipped", "suspicious"])
def test_mutant_that_no_test_looked_at_is_a_survivor(ended: str) -> None:
    assert judge(ALL_FOUND | {NAMES[0]: ended}, []) != []


def test_mutant_that_loops_is_found_by_the_clock() -> None:
    assert judge(ALL_FOUND | {NAMES[0]: "timeout"}, []) == []


def test_what_is_printed_is_read_and_summed_by_module() -> None:
    ends = results(["    prequal.a.x_f__mutmut_1: survived", "", "    prequal.b.x_f__mutmut_2: killed", "done"])

    assert ends == {"prequal.a.x_f__mutmut_1": "survived", "prequal.b.x_f__mutmut_2": "killed"}
    assert [line.split() for line in report(ends).splitlines()] == [
        ["0", "of", "1", "0.0%", "prequal.a"],
        ["1", "of", "1", "100.0%", "prequal.b"],
        ["1", "of", "2", "50.0%", "all"],
    ]


def test_list_says_why() -> None:
    assert known('[[survivors]]\nfunction = "a.f"\ncount = 1\nwhy = "equal"') == [Known("a.f", 1, "equal")]
