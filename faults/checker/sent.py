"""What became of every POST: the journal's lines about one send, put together.

Invariant: a send without an end in the journal counts as lost; the client may have died with it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from faults.checker.evidence import Application, Evidence
from harness import oracle
from harness.journal import Answered, Sending

Content: TypeAlias = tuple[str, int, int, str]
"""The PAN's HMAC, income and amount in paise, and the type: what tells one application from another."""


@dataclass(frozen=True, slots=True)
class Sent:
    """One POST, what it held and how it ended."""

    number: int
    at: float
    key: str | None
    pan: str
    content: Content | None
    """None when it was no application: a field is missing or is no amount."""
    answer: Answered | None

    @property
    def application_id(self) -> str | None:
        """Of a 202."""
        return self.answer.application_id if self.answer is not None and self.answer.status == 202 else None

    @property
    def is_doubtful(self) -> bool:
        """Whether it may have left a row or not: a 5xx, or no answer."""
        return self.answer is None or self.answer.status >= 500


def sends(evidence: Evidence) -> list[Sent]:
    """Every POST of the journal, in order."""
    answers = {answer.number: answer for answer in evidence.of(Answered)}
    return [_sent(sending, answers.get(sending.number), evidence.pan_hashes) for sending in evidence.of(Sending)]


def content_of(row: Application) -> Content:
    """An application's content, to compare with what was sent."""
    money = oracle.paise(row.monthly_income_inr), oracle.paise(row.loan_amount_inr)
    return row.pan_number_hash, *money, row.loan_type


def _sent(sending: Sending, answer: Answered | None, pan_hashes: Mapping[str, str]) -> Sent:
    pan = str(sending.body.get("pan_number"))
    return Sent(sending.number, sending.at, sending.key, pan, _content(sending.body, pan_hashes), answer)


def _content(body: Mapping[str, Any], pan_hashes: Mapping[str, str]) -> Content | None:
    try:
        money = oracle.paise(body["monthly_income_inr"]), oracle.paise(body["loan_amount_inr"])
        return pan_hashes[body["pan_number"]], *money, str(body["loan_type"])
    except (AssertionError, KeyError, TypeError, ValueError):
        return None
