"""Applications as a lender's app posts them: valid unless a test says otherwise."""

import random
import string
import uuid
from collections.abc import Iterator
from typing import Any

from harness.oracle import PUBLISHED

ACCEPTED_AT_ONCE = "PRE_APPROVED"

drawn: set[str] = set()
"""Every PAN that a test has drawn: none of them may be found in a log."""

_chance = random.SystemRandom()
"""Not the generator that pytest-randomly seeds: two runs against one database draw different PANs."""


def a_pan() -> str:
    """A PAN that nobody else has."""
    while True:
        letters = [_chance.choice(string.ascii_uppercase) for _ in range(6)]
        pan = f"{''.join(letters[:3])}P{letters[3]}{_chance.randrange(1, 10_000):04}{letters[4]}"
        if pan not in drawn:
            drawn.add(pan)
            return pan


def an_application(**changes: Any) -> dict[str, Any]:
    """A body that is accepted and, with a score of 695 to 705, pre-approved."""
    return {
        "pan_number": a_pan(),
        "applicant_name": "Asha Rao",
        "monthly_income_inr": "85000.00",
        "loan_amount_inr": "1500000.00",
        "loan_type": "HOME",
    } | changes


def a_rejected_application(**changes: Any) -> dict[str, Any]:
    """A body that scores 615 to 625."""
    return an_application(monthly_income_inr="20000.00", loan_amount_inr="300000.00", loan_type="PERSONAL") | changes


def without(field: str, **changes: Any) -> dict[str, Any]:
    """A valid body that lacks a field."""
    return {name: value for name, value in an_application(**changes).items() if name != field}


def an_idempotency_key() -> str:
    """An Idempotency-Key that nobody else has."""
    return str(uuid.uuid4())


def drawn_applications(seed: int | str | None = None) -> Iterator[dict[str, str]]:
    """Applications of every kind without end, with a PAN each; the same seed draws the same."""
    chance = random.Random(seed)
    used = set(PUBLISHED)
    while True:
        letters = "".join(chance.choices(string.ascii_uppercase, k=6))
        pan = f"{letters[:5]}{chance.randrange(10_000):04}{letters[5]}"
        if pan not in used:
            used.add(pan)
            yield {
                "pan_number": pan,
                "applicant_name": "Asha Rao",
                "monthly_income_inr": f"{chance.randrange(10_000, 150_000)}.{chance.randrange(100):02}",
                "loan_amount_inr": f"{chance.randrange(50_000, 9_000_000)}.00",
                "loan_type": chance.choice(["PERSONAL", "HOME", "AUTO"]),
            }
