import re
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from prequal.api.masking import is_safe_id, shown_name, shown_path
from tests.support.pans import NUMBERS

SEPARATORS = st.text(st.sampled_from(" -_.:,+~\u200b\u2007"), max_size=2)


@given(NUMBERS.filter(lambda number: "X" not in number), st.lists(SEPARATORS, min_size=9, max_size=9))
@example("ABCDE1234F", ["", "", "", "", " ", "", "", "", ""])
@example("ABCDE1234F", ["", "", "", "", "-", "", "", "", "-"])
def test_pan_with_separators_is_masked_whole_in_path_and_name(number: str, separators: list[str]) -> None:
    spread = "".join(letter + between for letter, between in zip(number, [*separators, ""], strict=True))

    for text in (spread, spread.lower(), f"x-{spread}.json"):
        assert number[:5] not in re.sub(r"[\W_]", "", shown_path(f"/a/{text}/b") + shown_name(text)).upper()
        assert shown_path(f"/a/{text}/b").startswith("/a/")
        assert shown_path(f"/a/{text}/b").endswith("/b")
        assert not is_safe_id(text)


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/ABCDE 1234F/x", "/XXXXX/x"),
        ("/ABCDE1234F/x", "/XXXXX1234F/x"),
        ("/my pan ABCDE1234F", "/my pan XXXXX1234F"),
        ("/ABCDE1234FGHIJ 5678K", "/XXXXX"),
        ("/%41BCDE1234F/x", "/XXXXX/x"),
        ("/%2541BCDE1234F/x", "/XXXXX/x"),
        ("/%41BCDE%201234F", "/XXXXX"),
        ("/ABCDE1234F%20x", "/XXXXX1234F%20x"),
        ("/%25252525252541", "/XXXXX"),
        ("/100%/a%20b", "/100%/a%20b"),
        ("/ＡＢＣＤＥ１２３４Ｆ", "/XXXXX"),
        ("/applications/ABCDE_1234_F/status", "/applications/XXXXX/status"),
        ("", ""),
        ("//", "//"),
        ("/loans/1234/x", "/loans/1234/x"),
    ],
)
def test_path_is_shown_segment_by_segment(path: str, shown: str) -> None:
    assert shown_path(path) == shown


@given(st.uuids(), st.sampled_from([str, lambda id_: str(id_).upper()]), st.sampled_from(["", "req-", "v1."]))
@example(UUID("00000abc-de12-4340-8f00-000000000000"), str, "")
@example(UUID("0abcde12-34f0-4000-8000-000000000000"), str, "req-")
@example(UUID("00000000-0000-4abc-de12-34f000000000"), str, "")
def test_uuid_stays_whole_though_it_spells_a_pan_across_its_hyphens(id_: UUID, case: type[str], before: str) -> None:
    text = before + case(id_)

    if not re.search("[A-Z]{5}[0-9]{4}[A-Z]", text):
        assert shown_path(f"/applications/{text}/status") == f"/applications/{text}/status"
        assert shown_name(text) == text
        assert is_safe_id(text)


@given(st.from_regex(r"[0-9a-f]{16,64}", fullmatch=True))
def test_hexadecimal_id_stays_whole(digits: str) -> None:
    assert shown_path(f"/{digits}") == f"/{digits}"
    assert is_safe_id(digits)


@pytest.mark.parametrize("name", ["aadhaar", "date_of_birth", "address line 2", "pan", "", "loan_amount_2024"])
def test_name_of_a_sane_field_is_shown_as_it_is(name: str) -> None:
    assert shown_name(name) == name


def test_a_path_of_many_segments_costs_no_more_than_a_long_one() -> None:
    path = "/x" * 100_000

    assert shown_path(path) == path
