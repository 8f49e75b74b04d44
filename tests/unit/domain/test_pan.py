import copy
import dataclasses
import json
import pickle
from collections.abc import Callable
from uuid import UUID, uuid4

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from prequal.domain.pan import SHAPE, Pan
from prequal.domain.pan_detection import contains_pan, looks_like_pan, redact
from tests.builders import PAN, a_loan_application
from tests.support.pans import NUMBERS, TEXTS, shown


@given(NUMBERS)
def test_a_pan_is_revealed_as_it_was_given(number: str) -> None:
    assert Pan(number).reveal() == number


@pytest.mark.parametrize(
    "text",
    [
        "",
        "abcde1234f",
        "ABCDe1234F",
        "ABCDE1234",
        "ABCDE1234FF",
        "ABCD12345F",
        "ABCDE1234F\n",
        " ABCDE1234F",
        "ABCDE 1234F",
        "ABCDE１２３４F",
        "ABCDÉ1234F",
        "АBCDE1234F",
        "ABCDE१२३४F",
    ],
)
def test_text_that_is_not_exactly_a_pan_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(
        ValueError, match=r"^not a PAN: five capital letters, four digits and a capital letter are expected$"
    ) as refused:
        Pan(text)

    assert not text or text not in str(refused.value)


@given(st.text(max_size=12))
def test_only_the_shape_is_taken(text: str) -> None:
    try:
        Pan(text)
    except ValueError:
        taken = False
    else:
        taken = True

    assert taken == (SHAPE.fullmatch(text) is not None)


WAYS_OF_SHOWING: dict[str, Callable[[Pan], str]] = {
    "repr": repr,
    "str": str,
    "format": format,
    "f-string": lambda pan: f"{pan}",
    "f-string with repr": lambda pan: f"{pan!r}",
    "f-string with width": lambda pan: f"{pan:>20}",
    "percent": lambda pan: f"{'%s'}" % (pan,),
    "json": lambda pan: json.dumps(pan, default=str),
    "pickle": lambda pan: repr(pickle.dumps(pan)),
    "oldest pickle": lambda pan: repr(pickle.dumps(pan, 0)),
    "unpickled": lambda pan: repr(pickle.loads(pickle.dumps(pan))),
    "copy": lambda pan: repr(copy.copy(pan)),
    "deepcopy": lambda pan: repr(copy.deepcopy([pan])),
    "list": lambda pan: str([pan]),
    "dict": lambda pan: str({"pan": pan}),
}


@pytest.mark.parametrize("way", WAYS_OF_SHOWING)
@given(number=NUMBERS.filter(lambda number: not number.startswith("XXXXX")))
def test_no_way_of_showing_a_pan_reveals_it(way: str, number: str) -> None:
    text = WAYS_OF_SHOWING[way](Pan(number))

    assert number not in text
    assert number[:5] not in text
    assert "XXXXX" + number[5:] in text


def test_a_pan_has_no_dictionary_to_print() -> None:
    assert not hasattr(Pan(PAN), "__dict__")


def test_an_application_shows_its_pan_masked_however_it_is_shown() -> None:
    application = a_loan_application(pan="ABCDE1234F")

    assert "ABCDE" not in repr(application) + str(dataclasses.asdict(application)) + repr(pickle.dumps(application))


@given(NUMBERS)
def test_the_mask_keeps_the_last_five_characters_and_no_more(number: str) -> None:
    assert Pan(number).masked == "XXXXX" + number[-5:]


def test_the_holder_type_is_the_fourth_letter() -> None:
    assert Pan("ABCHE1234F").holder_type == "H"


@given(NUMBERS, NUMBERS)
@example("ABCDE1234F", "ABCDE1234F")
@example("ABCDE1234F", "VWXYZ1234F")
def test_pans_are_equal_as_their_numbers_are(one: str, other: str) -> None:
    assert (Pan(one) == Pan(other)) is (one == other)
    assert (hash(Pan(one)) == hash(Pan(other))) is (hash(one) == hash(other))


def test_a_pan_is_not_equal_to_its_text() -> None:
    assert Pan("ABCDE1234F") != "ABCDE1234F"


# ── redacting ───────────────────────────────────────────────────────────────────────────────────────────────────────


@given(TEXTS, NUMBERS, TEXTS)
@example("pan=", "ABCDE1234F", "&x=1")
@example("XY", "ABCDE1234F", "Z")
def test_a_pan_anywhere_in_a_text_is_masked(before: str, number: str, after: str) -> None:
    redacted = redact(f"{before}{number}{after}")

    assert shown(redacted) == []


@given(st.lists(NUMBERS, min_size=1, max_size=5), st.sampled_from(["", ",", " ", "A", "7", "-"]))
def test_several_pans_in_a_row_are_all_masked(numbers: list[str], between: str) -> None:
    redacted = redact(between.join(numbers))

    assert shown(redacted) == []


def test_two_pans_that_share_a_letter_are_both_masked() -> None:
    redacted = redact("ABCDE1234FGHIJ5678K")

    assert redacted == "XXXXX1234XXXXX5678K"


def test_a_lower_case_pan_is_masked() -> None:
    assert redact("abcde1234f or Abcde1234F") == "XXXXX1234f or XXXXX1234F"


@given(st.text(max_size=60))
@example("XXXXX1234F")
def test_redacting_twice_changes_nothing_more(text: str) -> None:
    assert redact(redact(text)) == redact(text)


@given(TEXTS)
@example("XXXXX1234F")
@example("ABCDE1234F")
def test_a_text_contains_a_pan_exactly_when_redacting_would_change_it(text: str) -> None:
    assert contains_pan(text) is (redact(text) != text)


@given(st.uuids(), st.sampled_from(["", " ", "/", '"', "=", "-"]))
@example(UUID("abcde123-4f00-4000-8000-0000abcde123"), "/")
@example(UUID("00000000-0000-4000-8000-00abcde1234f"), "")
def test_a_uuid_stays_whole(id_: UUID, around: str) -> None:
    text = f"{around}{id_}{around}"

    assert redact(text) == text
    assert not contains_pan(text)


@given(st.from_regex(r"[0-9a-f]{16,64}", fullmatch=True))
@example("abcde1234f" * 2)
def test_a_hexadecimal_id_stays_whole(digits: str) -> None:
    assert redact(f"id={digits};") == f"id={digits};"


def test_a_trace_context_stays_whole() -> None:
    traceparent = "00-4bf92abcde1234fda6a3ce929d0e0e47-00abcde1234f67b7-01"

    assert redact(traceparent) == traceparent


@given(NUMBERS)
def test_a_pan_beside_a_uuid_is_masked_and_the_uuid_kept(number: str) -> None:
    id_ = str(uuid4())

    redacted = redact(f"{id_} {number} {id_}")

    assert redacted == f"{id_} XXXXX{number[5:]} {id_}"


def test_pan_in_a_column_is_masked_and_as_wide_as_the_column() -> None:
    assert f"{Pan('ABCDE1234F'):>12}" == "  XXXXX1234F"


# ── free text ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "text",
    [
        "ABCDE1234F",
        "abcde1234f",
        "Asha ABCDE1234F Rao",
        "ABCDE 1234 F",
        "ABCDE-1234-F",
        "ABCDE_1234_F",
        "ＡＢＣＤＥ１２３４Ｆ",
    ],
)
def test_text_that_a_person_reads_as_a_pan_looks_like_one(text: str) -> None:
    assert looks_like_pan(text)


@pytest.mark.parametrize("text", ["Asha Rao", "José Núñez", "राम", "ABCDE", "1234", "ABCD1234F", "Rao 12345"])
def test_a_name_does_not_look_like_a_pan(text: str) -> None:
    assert not looks_like_pan(text)


def test_separators_between_any_two_letters_do_not_hide_a_pan() -> None:
    text = "A-B C.D_E 1 2 3 4 F"

    found = looks_like_pan(text)

    assert found
