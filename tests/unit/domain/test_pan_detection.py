"""PANs in text of unknown origin."""

from prequal.domain.pan import MASK
from prequal.domain.pan_detection import pan_positions, redact

ID = "0190a7f6-9f4e-7c4b-8a52-abcde1234fab"


def test_pans_are_found_where_they_begin_in_either_case() -> None:
    assert list(pan_positions("a ABCDE1234F, b abcde1234f")) == [2, 16]


def test_ids_and_masked_pans_are_no_pans() -> None:
    assert list(pan_positions(f"{ID} {MASK}1234F")) == []


def test_pan_is_masked_and_an_id_stays_whole() -> None:
    assert redact(f"ABCDE1234F of {ID}") == f"{MASK}1234F of {ID}"
