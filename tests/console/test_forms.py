"""`console.forms`: numbers that people type, and forms that are none."""

import pytest
from starlette.requests import Request
from starlette.types import Message

from prequal.console.forms import BadForm, read_form, whole_number


async def test_form_with_a_nul_is_none() -> None:
    async def receive() -> Message:
        return {"type": "http.request", "body": b"text=a%00b", "more_body": False}

    headers = [(b"content-type", b"application/x-www-form-urlencoded")]

    with pytest.raises(BadForm):
        await read_form(Request({"type": "http", "method": "POST", "path": "/", "headers": headers}, receive))


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1", 1),
        ("480", 480),
        ("007", 7),
        ("0", None),
        ("481", None),
        ("", None),
        ("-1", None),
        ("+1", None),
        ("1.0", None),
        ("1_0", None),
        ("٣", None),
        ("²", None),
        ("9" * 5000, None),
    ],
)
def test_number_is_of_plain_digits_and_within_its_bounds(text: str, number: int | None) -> None:
    assert whole_number(text, 1, 480) == number
