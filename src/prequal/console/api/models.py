"""The bodies of the console's JSON API: what is taken is checked with them, and what is answered described.

Invariant: what is taken has no fields but these; amounts are texts, times RFC 3339.
"""

import re
from datetime import datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, field_validator

from prequal.domain.review import LEASE_MINUTES, LEASE_MINUTES_MAX
from prequal.review.queries import CaseState

Outcome = Literal["PRE_APPROVED", "REJECTED"]
_NOT_STORED: Final = re.compile("[\0\ud800-\udfff]")
"""PostgreSQL stores no NUL, and UTF-8 has no half of a surrogate pair, which an escape of JSON can spell."""
DeadLetterIds = Annotated[list[str], Field(min_length=1, max_length=500)]


class StrictBody(BaseModel):
    """A body of a request, which has no other fields."""

    model_config = ConfigDict(extra="forbid")

    @field_validator("*")
    @classmethod
    def _can_be_stored(cls, value: Any) -> Any:
        texts = value if isinstance(value, list) else [value]
        if any(isinstance(text, str) and _NOT_STORED.search(text) for text in texts):
            raise ValueError("must have no NUL and no half of a surrogate pair in it")
        return value


class ErrorDetail(BaseModel):
    """What is wrong with a field."""

    field: str
    issue: str


class Error(BaseModel):
    """The body of every error."""

    error_code: str
    message: str
    details: list[ErrorDetail] | None
    request_id: str
    timestamp: datetime
    path: str


class Case(BaseModel):
    """A case of review."""

    application_id: UUID
    state: CaseState
    opened_at: datetime
    target_at: datetime
    hours_to_target: float
    loan_amount_inr: str
    people_needed: int
    claimed_by: str | None
    lease_until: datetime | None
    version: int
    outcome: str | None
    reason: str | None
    decided_at: datetime | None


class Cases(BaseModel):
    """A page of the queue."""

    cases: list[Case]


class Note(BaseModel):
    """A note on a case."""

    at: datetime
    by: str
    note: str


class Vote(BaseModel):
    """One person's decision."""

    at: datetime
    by: str
    outcome: str
    reason: str


class WholeCase(Case):
    """A case with all that a reviewer sees of it."""

    status: str
    pan_number_masked: str
    loan_type: str
    monthly_income_inr: str
    cibil_score: int | None
    policy_version: str
    policy_reason: str
    measures: dict[str, Any]
    created_at: datetime
    notes: list[Note]
    votes: list[Vote]


class ReviewReason(BaseModel):
    """A reason of the closed list, with the applicant's sentence."""

    code: str
    outcome: Outcome
    en: str
    hi: str


class ReviewReasons(BaseModel):
    """The closed list of reasons."""

    reasons: list[ReviewReason]


class Claim(StrictBody):
    """For how long a case is taken."""

    minutes: int = Field(LEASE_MINUTES, ge=1, le=LEASE_MINUTES_MAX)


class Text(StrictBody):
    """A note: without a PAN, and kept for good."""

    text: str


class Decision(StrictBody):
    """A vote; the reason is one of this outcome's."""

    outcome: Outcome
    reason: str = Field(max_length=100)


class Origin(BaseModel):
    """Where a message failed."""

    topic: str | None
    partition: int | None
    offset: int | None


class DeadLetter(BaseModel):
    """A dead letter, without its content."""

    id: str
    state: str
    event_id: str | None
    application_id: str | None
    reason: str
    error_message: str
    origin: Origin
    first_seen: str | None
    last_seen: str | None
    attempts: int | None


class DeadLetters(BaseModel):
    """Dead letters, in the order of their ids."""

    dead_letters: list[DeadLetter]
    total: int = Field(description="How many there are, on all pages.")


class Payload(BaseModel):
    """The bytes of a message in lines, PANs masked."""

    binary: bool
    lines: list[str]
    left_out: int


class WholeDeadLetter(DeadLetter):
    """A dead letter with its content, PANs masked."""

    key: str | None
    headers: list[tuple[str, str | None]]
    payload: Payload


class Replaying(StrictBody):
    """Which dead letters are to be replayed."""

    ids: DeadLetterIds
    force: bool = Field(False, description="Those replayed or discarded before, too.")
    dry_run: bool = False


class Discarding(StrictBody):
    """Which dead letters are to be discarded, and why; that is recorded."""

    ids: DeadLetterIds
    because: str = Field(max_length=2000)
    dry_run: bool = False


class Resolution(BaseModel):
    """What was done, or would be."""

    dry_run: bool
    resolved: list[str]
    already_resolved: list[str]
