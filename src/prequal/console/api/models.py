"""The bodies of the console's JSON API: what is taken is checked with them, and what is answered described.

Invariant: what is taken has no fields but these; amounts are texts, times RFC 3339.
"""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from prequal.domain.policy.challenge import SHARE_MAX
from prequal.domain.review import LEASE_MINUTES, LEASE_MINUTES_MAX
from prequal.policy_versions.queries import State as PolicyState
from prequal.review.queries import State

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Outcome = Literal["PRE_APPROVED", "REJECTED"]
Version = Annotated[str, Field(min_length=1, max_length=100)]
DeadLetterIds = Annotated[list[str], Field(min_length=1, max_length=500)]


class StrictBody(BaseModel):
    """A body of a request, which has no other fields."""

    model_config = ConfigDict(extra="forbid")


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
    state: State
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


class PolicyVersion(BaseModel):
    """A version of the policy, and where it stands; without its document."""

    version: str
    hash: Sha256
    title: str
    state: PolicyState
    current: bool
    authors: list[str]
    proposed_at: datetime
    backtest: Sha256 | None
    backtest_report: dict[str, Any] | None
    backtested_at: datetime | None
    approved_by: str | None
    approved: Sha256 | None = Field(description="The hash of the document that was approved.")
    approved_at: datetime | None
    scheduled_for: datetime | None
    challenge_share_basis_points: int | None = Field(description="What it decides as the challenger, while it is one.")
    is_shadow: bool = Field(description="Whether it decides beside the one in force, without effect.")


class PolicyVersions(BaseModel):
    """Every version, the one that was proposed first at the beginning."""

    versions: list[PolicyVersion]


class WholePolicyVersion(PolicyVersion):
    """A version with its document, in TOML."""

    text: str


class Document(StrictBody):
    """A policy document in TOML; its version is in it."""

    document: str


class Approval(StrictBody):
    """What the approver looked at."""

    hash: Sha256 = Field(description="Of the document.")
    backtest: Sha256 = Field(description="Of the backtest.")


class Activating(StrictBody):
    """From when on a version decides; without a time from now on."""

    effective_from: datetime | None = None


class RollingBack(StrictBody):
    """To which version; without one to the one before."""

    to: Version | None = None


class Activation(BaseModel):
    """That a version decides, from a time on."""

    version: str
    hash: Sha256
    effective_from: datetime


class Backtest(StrictBody):
    """What is to be backtested on which applications: a stored version, or a document in TOML."""

    version: Version | None = None
    document: str | None = None
    since: str | None = Field(None, max_length=64, description="2026-11-23T09:30:00Z, or 30d for 30 days ago.")
    until: str | None = Field(None, max_length=64, description="Likewise; accepted before.")
    record: bool = Field(False, description="Keep the report with the proposed version: it is what is approved.")


class BacktestReport(BaseModel):
    """The report as `prequal policy backtest --json` prints it, and the SHA-256 of those bytes."""

    report: dict[str, Any]
    sha256: Sha256
    recorded: bool


class Shadow(StrictBody):
    """The version that is to decide beside the one in force; null ends that."""

    version: Version | None


class ShadowReport(BaseModel):
    """The shadow, and where it would have decided otherwise."""

    version: str | None
    hash: Sha256 | None
    differences: list[dict[str, Any]]


class Challenge(StrictBody):
    """The version that is to decide a share of the applications, in hundredths of a per cent; null ends that."""

    version: Version | None
    share_basis_points: int | None = Field(None, strict=True, ge=1, le=SHARE_MAX)


class SidesDecisions(BaseModel):
    """Of each side the applications that came since the challenge began and that it decided, by status.

    The newest 100,000 are counted.
    """

    challenger: dict[str, int]
    challenged: dict[str, int]


class EndedChallenge(BaseModel):
    """How a challenge went, and why it holds no longer."""

    version: str
    hash: Sha256
    share_basis_points: int
    begun_at: datetime
    begun_by: str
    challenged: str = Field(description="The version that was in force.")
    decisions: SidesDecisions
    ended_at: datetime
    ended_by: str
    ended_by_version: str | None = Field(description="Whose activation ended it; null where it was ended itself.")


class ChallengeReport(BaseModel):
    """The version that challenges the one in force, its share, who began that when, and how each side decided.

    Where none does, all of that is null, and `last` is the challenge that was begun last.
    """

    version: str | None
    hash: Sha256 | None
    share_basis_points: int | None
    begun_at: datetime | None
    begun_by: str | None
    challenged: str | None = Field(description="The version in force.")
    decisions: SidesDecisions | None
    last: EndedChallenge | None


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
    total: int = Field(description="How many there are, of which these are the first.")


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
