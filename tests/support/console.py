"""What tests of the console share: a refusal's code, and a version on its way by the forms."""

import re
from typing import Any

import httpx

from harness.policies import policy_text

SHAPE = {"error_code", "message", "details", "request_id", "timestamp", "path"}
REPORT = """
    {"applications": 3, "flips": 1, "outcomes": [
        {"before": "PRE_APPROVED", "after": "REJECTED", "applications": 1, "loan_amount_inr": "1200000.00"}
    ]}
"""
"""What is stored of a backtest."""


def code_of(answer: httpx.Response, status: int) -> str:
    """The code of a refusal of the one shape."""
    body = answer.json()
    assert (answer.status_code, set(body)) == (status, SHAPE)
    assert answer.headers["x-request-id"] == body["request_id"]
    return str(body["error_code"])


def document() -> str:
    """Policy v1 under the name v2."""
    return policy_text(minimum=650)


async def fields(person: Any, version: str, act: str) -> dict[str, str]:
    """What the page of a version sends along with one of its forms, but for the token of the forms."""
    page = (await person.get(f"/policy/{version}")).text
    form = page.partition(f'action="/policy/{version}/{act}">')[2].partition("</form>")[0]
    return dict(re.findall(r'type="hidden" name="(?!csrf)(\w+)" value="([^"]*)"', form))


async def says(person: Any, words: str) -> str:
    """The page of v2, once it says these words."""
    text: str = (await person.get("/policy/v2")).text
    return text if words in text else ""
