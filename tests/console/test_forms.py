"""`console.forms`: numbers that people type, and forms that are none."""

from collections.abc import Callable
from typing import Any

import pytest
from starlette.requests import Request
from starlette.types import Message
from structlog.testing import capture_logs

from prequal.console import app
from prequal.console.forms import BadForm, read_form, whole_number
from prequal.console.visit import Console
from prequal.domain.person import PersonRole
from tests.support.edge import hung_up


@pytest.mark.parametrize("body", [b"text=a%00b", b"text=%ED%A0%80", b"text=%FF"])
async def test_form_with_text_that_cannot_be_stored_is_none(body: bytes) -> None:
    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    headers = [(b"content-type", b"application/x-www-form-urlencoded")]

    with pytest.raises(BadForm):
        await read_form(Request({"type": "http", "method": "POST", "path": "/", "headers": headers}, receive))


@pytest.mark.parametrize("path", ["/sign-in", "/sign-out", "/policy", "/api/v1/session", "/api/v1/policy/shadow"])
async def test_who_hangs_up_in_a_body_is_sent_nothing_and_is_no_fault_of_ours(
    path: str, console: Console, person: Callable[..., Any]
) -> None:
    token = (await person(PersonRole.RISK_OFFICER)).headers["authorization"].encode()
    cookie = f"{console.cookies.session}={token.removeprefix(b'Bearer ').decode()}".encode()
    kind = "application/json" if "api" in path else "application/x-www-form-urlencoded"

    with capture_logs() as logs:
        sent = await hung_up(app.build(console, {}), path, kind, [(b"cookie", cookie), (b"authorization", token)])

    recorded = [("request", 499)] if "api" in path else []
    assert (sent, [(log["event"], log.get("status")) for log in logs]) == ([], recorded)


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
