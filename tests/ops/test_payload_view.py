import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from prequal.ops.payload_view import SHOWN_BYTES_MAX, VALUE_MAX, show, show_value
from tests.support.pans import NUMBERS, TEXTS, shown


@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_whatever_the_bytes_are_the_lines_are_printable(payload: bytes) -> None:
    assert all(line.isprintable() for line in show(payload).lines)
    assert (show_value(payload) or "").isprintable()


@given(TEXTS, NUMBERS, TEXTS)
def test_text_is_shown_without_a_pan(before: str, number: str, after: str) -> None:
    payload = (before + number + after).encode()

    assert shown("\n".join(show(payload).lines)) == []
    assert shown(show_value(payload) or "") == []


@given(NUMBERS, st.sampled_from(["ascii", "utf-16-le", "utf-16-be"]), st.sampled_from([str.upper, str.lower]))
def test_bytes_are_shown_without_a_pan(number: str, encoding: str, case: "type[str]") -> None:
    number = case(number)
    payload = b"\xff\xfe" + number.encode(encoding)

    dumped = "".join(line[10:57] for line in show(payload).lines).replace(" ", "")
    values = (show_value(payload) or "").replace(" ", "")
    assert number.encode(encoding).hex() not in dumped
    assert number.encode(encoding).hex() not in values


@given(NUMBERS, st.sets(st.integers(0, 9)))
@example("ABCDE1234F", {0})
def test_pan_with_escaped_letters_is_masked(number: str, places: set[int]) -> None:
    escaped = "".join(f"\\u{ord(each):04x}" if at in places else each for at, each in enumerate(number))

    (line,) = show(f'{{"pan": "{escaped}"}}'.encode()).lines

    assert json.loads(line)["pan"] == "XXXXX" + number[5:]


def test_text_keeps_its_lines() -> None:
    assert show('{\r\n\t"₹": 1\n}'.encode()).lines == ["{", '    "₹": 1', "}"]


@pytest.mark.parametrize("payload", [b"\x1b[2J", b"\xff", "a\u202eb".encode(), b"a\rb"])
def test_what_a_terminal_would_obey_is_dumped(payload: bytes) -> None:
    shown_ = show(payload)

    assert shown_.binary
    assert shown_.lines[0].startswith(f"00000000  {payload.hex(' ')}")


@pytest.mark.parametrize("payload", [b"a" * 900_000, b"\0" * 900_000])
def test_long_payload_is_cut_and_says_so(payload: bytes) -> None:
    assert show(payload).left_out == 900_000 - SHOWN_BYTES_MAX
    assert len(show_value(payload) or "") <= VALUE_MAX


def test_no_value_is_none() -> None:
    assert show_value(None) is None
    assert show_value(b"") == ""
