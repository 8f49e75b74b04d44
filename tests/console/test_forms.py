"""`console.forms`: numbers that people type, and forms that are none."""

from collections.abc import Callable
from typing import Any

import pytest
from starlette.requests import Request
from starlette.types import Message
from structlog.testing import capture_logs

from harness.database import Database
from harness.policies import padded, policy_text
from prequal.console import app
from prequal.console.cookies import form_token
from prequal.console.forms import BYTES_MAX, BadForm, read_form, whole_number
from prequal.console.visit import Console
from prequal.domain.person import PersonRole
from tests.console.conftest import csrf
from tests.support.edge import hung_up

DOCUMENT = 256 * 1024
FORM = 3 * DOCUMENT + 64 * 1024


@pytest.mark.parametrize("body", [b"text=a%00b", b"text=%ED%A0%80", b"text=%FF"])
async def test_form_with_text_that_cannot_be_stored_is_none(body: bytes) -> None:
    with pytest.raises(BadForm):
        await read_form(sent(body))


def sent(body: bytes) -> Request:
    """A form with this body."""

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    headers = [(b"content-type", b"application/x-www-form-urlencoded")]
    return Request({"type": "http", "method": "POST", "path": "/", "headers": headers}, receive)


async def test_form_has_so_many_bytes_and_not_one_more() -> None:
    assert await read_form(sent(b"text=abc"), 8) == {"text": "abc"}
    with pytest.raises(BadForm):
        await read_form(sent(b"text=abcd"), 8)


async def test_page_that_takes_a_document_takes_the_largest_in_hindi_and_every_other_form_has_64_kib(
    signed_in: Callable[..., Any], database: Database
) -> None:
    officer, largest = await signed_in(PersonRole.RISK_OFFICER), padded(policy_text().strip(), DOCUMENT)

    taken = await officer.post("/policy", document=largest)
    too_large = await officer.post("/policy", document=padded(policy_text().strip(), DOCUMENT + 1))
    of_limit = await officer.post("/policy", **of_size("document", FORM))
    over_limit = await officer.post("/policy", **of_size("document", FORM + 1))
    elsewhere = [await officer.post("/policy/v2/challenge/end", **of_size("x", BYTES_MAX + each)) for each in (0, 1)]

    assert taken.headers["location"] == "/policy/v2?done=PROPOSED"
    assert database.value("SELECT document FROM policy_versions WHERE version = 'v2'") == largest
    assert (too_large.status_code, of_limit.status_code, over_limit.status_code) == (422, 422, 400)
    assert all("The document is over 256 KiB." in each.text for each in (too_large, of_limit))
    assert [each.status_code for each in elsewhere] == [409, 400]
    assert "The form is too large" in over_limit.text


async def test_document_that_a_session_ended_over_stays_on_the_page(
    signed_in: Callable[..., Any], database: Database
) -> None:
    officer, typed = await signed_in(PersonRole.RISK_OFFICER), padded(policy_text().strip(), DOCUMENT)
    token = csrf(await officer.get("/"))
    database.execute("UPDATE people_sessions SET idle_until = now()")

    answer = await officer.client.post("/policy", data={"csrf": token, "document": typed})

    assert answer.status_code == 401
    assert typed.splitlines()[0] in answer.text


def of_size(name: str, size: int) -> dict[str, str]:
    """A field that makes a form, with the token that a browser adds to it, so many bytes long."""
    return {name: "a" * (size - len(f"csrf={'t' * len(form_token('x'))}&{name}="))}


@pytest.mark.parametrize("path", ["/sign-in", "/sign-out", "/policy", "/api/v1/session", "/api/v1/policy/shadow"])
async def test_client_that_hangs_up_in_its_body_is_sent_nothing_and_is_no_fault_of_ours(
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
