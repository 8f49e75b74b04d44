"""What a refusal costs: work that grows with the body and not faster, counted in calls and characters, not in time."""

import json
import sys
from collections.abc import Callable
from typing import Any

import pytest

from prequal.api.errors import ApiError, error_response
from prequal.api.masking import NORMALISED_CHARACTERS_MAX, shown_path
from prequal.api.request import parse
from tests.builders import a_request
from tests.support.normalising import MARKS, lengths_normalised

BODY_BYTES_MAX = 16 * 1024

GROWING: dict[str, Callable[[int], bytes]] = {
    "unknown fields": lambda size: fields({f"f{number}": 1 for number in range(size // 12)}),
    "a long name of a field": lambda size: fields({"x" * (size - 200): 1}),
    "a field named by marks": lambda size: fields({"a" + MARKS * ((size - 200) // 4): 1}),
    "a field of percent signs": lambda size: fields({"%25" * ((size - 200) // 3): 1}),
    "a field that grows when normalised": lambda size: fields({"\ufdfa" * ((size - 200) // 3): 1}),
    "an applicant named by marks": lambda size: fields({"applicant_name": "a" + MARKS * ((size - 200) // 4)}),
    "an applicant of spaces": lambda size: fields({"applicant_name": " " * (size - 200)}),
    "a PAN of many letters": lambda size: fields({"pan_number": "A" * (size - 200)}),
    "an amount of many digits": lambda size: fields({"loan_amount_inr": "9" * (size - 200)}),
    "many numbers": lambda size: fields({"x": [9e99] * (size // 7)}),
    "many lists": lambda size: fields({"x": [[]] * (size // 4)}),
    "brackets": lambda size: b"[" * size,
    "a string without an end": lambda size: b'{"' + b"\\u0041" * (size // 6),
}


def fields(changes: dict[str, Any]) -> bytes:
    return json.dumps(a_request(**changes), ensure_ascii=False).encode()


def refused(body: bytes) -> ApiError:
    with pytest.raises(ApiError) as refusal:
        parse(body)
    return refusal.value


def calls(action: Callable[[], object]) -> int:
    """How many functions are called, those in C as well."""
    count = 0

    def note(_: object, event: str, __: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        action()
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize("growing", GROWING)
def test_twice_the_body_is_at_most_twice_the_calls(growing: str) -> None:
    body = GROWING[growing]
    refused(body(2000))  # what is made once is made

    small, large = body(BODY_BYTES_MAX // 2), body(BODY_BYTES_MAX)

    one, two = calls(lambda: refused(small)), calls(lambda: refused(large))

    assert two <= 2.1 * one + 50


@pytest.mark.parametrize("growing", GROWING)
def test_refusal_is_no_longer_than_what_is_refused(growing: str) -> None:
    answer = error_response(refused(GROWING[growing](BODY_BYTES_MAX)), "id", "/applications")

    assert len(answer.body) < 4096


@pytest.mark.parametrize("growing", GROWING)
def test_text_is_bounded_before_it_is_normalised(growing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    lengths = lengths_normalised(monkeypatch)

    refused(GROWING[growing](BODY_BYTES_MAX))

    assert max(lengths, default=0) <= NORMALISED_CHARACTERS_MAX
    assert sum(lengths) <= BODY_BYTES_MAX


@pytest.mark.parametrize("path", ["/" + "%CC%80%CC%96" * 1300, "/" + "à" * 16_000], ids=["encoded", "as it is"])
def test_path_is_bounded_before_it_is_normalised(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    lengths = lengths_normalised(monkeypatch)

    shown = shown_path(path)

    assert shown == "/XXXXX"
    assert max((length for length in lengths), default=0) <= NORMALISED_CHARACTERS_MAX
