"""What in an applicant's name is a PAN or an Aadhaar number, and what only resembles one."""

import random
import string
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prequal.domain.identity_detection import HOLDER_TYPES, Identity, holds_identity, identity_in, spells
from prequal.domain.pan import Pan

COMPANIES = [
    "Studio 1984 Designs",
    "Vision 2020 Foundation",
    "Bharat 2000 Traders",
    "Udyog 1956 Pvt Ltd",
    "Flat No 1204 Kumar",
    "Asha Rao",
    "राम १२३४",
    "Class 2020 B",
    "XABCPE1234F",
    "ABCPE1234FX",
    "7ABCPE1234F",
    "ABCPE12345F",
    "éABCPE1234F",
    "9876543210",
    "2341 2341 2347",
    "92341 2341 2346",
]
HOLDERS = st.sampled_from(sorted(HOLDER_TYPES))
LETTERS = st.text(string.ascii_uppercase, min_size=1, max_size=1)
PANS = st.builds(
    lambda head, holder, fifth, serial, last: f"{head}{holder}{fifth}{serial:04}{last}",
    st.text(string.ascii_uppercase, min_size=3, max_size=3),
    HOLDERS,
    LETTERS,
    st.integers(0, 9999),
    LETTERS,
)
GAPS = st.text(" -./_·\u200b", max_size=3)
INDIAN_ZEROS = "०০੦૦୦௦౦೦൦"


@pytest.mark.parametrize("text", COMPANIES)
def test_text_that_only_resembles_a_number_is_taken(text: str) -> None:
    assert identity_in(text) is None


@given(PANS, GAPS, GAPS, st.sampled_from(["", "Asha ", "(", "राम-"]), st.sampled_from(["", " Rao", ")", ", Pune"]))
def test_pan_is_found_with_separators_between_its_groups(
    pan: str, first: str, second: str, before: str, after: str
) -> None:
    text = f"{before}{pan[:5]}{first}{pan[5:9]}{second}{pan[9]}{after}"

    assert identity_in(text) is Identity.PAN
    assert identity_in(text.lower()) is Identity.PAN


@pytest.mark.parametrize("zero", INDIAN_ZEROS)
def test_pan_is_found_in_digits_of_indian_scripts(zero: str) -> None:
    digits = "".join(chr(ord(zero) + digit) for digit in (1, 2, 3, 4))

    assert unicodedata.decimal(zero) == 0
    assert identity_in(f"Asha ABCPE{digits}F") is Identity.PAN


@pytest.mark.parametrize(
    "text", ["ＡＢＣＰＥ１２３４Ｆ", "A B C P E 1 2 3 4 F", "ABCPE-1234-F", "ABCDE1234F", "sandb 0409 e"]
)
def test_pan_is_found_in_other_spellings(text: str) -> None:
    assert identity_in(text) is Identity.PAN


def test_fourth_letter_that_no_holder_has_makes_no_pan() -> None:
    assert [letter for letter in string.ascii_uppercase if identity_in(f"XYZ{letter}E1234F")] == sorted(HOLDER_TYPES)


@pytest.mark.parametrize(
    "text", ["234123412346", "2341 2341 2346", "Asha 2341-2341-2346 Rao", "२३४१ २३४१ २३४६", "２３４１２３４１２３４６"]
)
def test_aadhaar_number_is_found(text: str) -> None:
    assert identity_in(text) is Identity.AADHAAR


def test_one_in_ten_of_twelve_digits_passes_for_an_aadhaar_number() -> None:
    chance = random.Random(1)
    heads = [f"{chance.randrange(10**11):011}" for _ in range(50)]

    passing = [[last for last in string.digits if identity_in(f"{head}{last}")] for head in heads]

    assert all(len(last) == 1 for last in passing)


# The group's table as J. Verhoeff printed it, and the places' permutation: another way to the same check digit.
PRODUCTS = (
    *("0123456789", "1234067895", "2340178956", "3401289567", "4012395678"),
    *("5987604321", "6598710432", "7659821043", "8765932104", "9876543210"),
)
PLACES = (
    *("0123456789", "1576283094", "5803796142", "8916043527"),
    *("9453126870", "4286573901", "2793806415", "7046913258"),
)


@given(st.from_regex(r"\A[0-9]{11}\Z"))
def test_twelfth_digit_of_an_aadhaar_number_is_the_one_of_verhoeffs_table(head: str) -> None:
    check = 0
    for place, digit in enumerate(reversed(head), 1):
        check = int(PRODUCTS[check][int(PLACES[place % 8][int(digit)])])

    assert identity_in(f"{head}{PRODUCTS[check].index('0')}") is Identity.AADHAAR


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("Asha Rao", False),
        ("ABCPE1234F", True),
        ("2341 2341 2346", True),
        ("XYZWE1234F", True),
        ("ＸＹＺＷＥ１２３４Ｆ", True),
        ("XYZ WE1234F", False),
    ],
)
def test_note_holds_an_identity_number_or_anything_that_looks_like_a_pan_in_one_piece(text: str, holds: bool) -> None:
    assert holds_identity(text) is holds


def test_wrong_digit_or_two_exchanged_make_no_aadhaar_number() -> None:
    number = "234123412346"
    wrong = {number[:i] + str((int(number[i]) + 1) % 10) + number[i + 1 :] for i in range(12)}
    exchanged = {number[:i] + number[i + 1] + number[i] + number[i + 2 :] for i in range(11)} - {number}

    assert not [each for each in wrong | exchanged if identity_in(each)]


@pytest.mark.parametrize("text", ["PANABCPE1234F", "Asha panabcpe1234f", "pan ABCPE1234F"])
def test_pan_behind_the_word_is_found(text: str) -> None:
    assert identity_in(text) is Identity.PAN


@pytest.mark.parametrize(
    "text", ["XYZDQ1234F", "Asha xyzdq-1234 f", "my XYZDQ\uff11\uff12\uff13\uff14F.", "1XYZDQ1234FX"]
)
def test_own_pan_is_found_whatever_stands_in_and_beside_it(text: str) -> None:
    assert spells(text, Pan("XYZDQ1234F"))
    assert identity_in("XYZDQ1234F") is None  # no holder has this fourth letter


@pytest.mark.parametrize("text", ["", "Asha", "XYZDQ1235F", "XYZDQ F"])
def test_own_pan_is_not_found_in_other_text(text: str) -> None:
    assert not spells(text, Pan("XYZDQ1234F"))
