"""The bodies of policy in the console's JSON API: versions, what is done with them, and what is answered.

Invariant: what is taken has no fields but these; amounts are texts, times RFC 3339.
"""

from datetime import datetime
from typing import Annotated, Any, Final

from pydantic import BaseModel, Field

from prequal.console.api.models import StrictBody
from prequal.domain.policy.challenge import SHARE_MAX
from prequal.policy_versions.queries import VersionState

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
REPLACES: Final = "With a version: the one whose place it takes; without it, one that another person set is a 409."
Version = Annotated[str, Field(min_length=1, max_length=100)]


class PolicyVersion(BaseModel):
    """A version of the policy, and where it stands; without its document."""

    version: str
    hash: Sha256
    title: str
    state: VersionState
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
    """A page of the versions, in the order of their names."""

    versions: list[PolicyVersion]


class ProposedPolicyVersion(PolicyVersion):
    """A version that was proposed now."""

    ended_shadow: bool = Field(description="Whether it was the shadow: after an edit it is that no more.")


class WholePolicyVersion(PolicyVersion):
    """A version with its document, in TOML."""

    text: str


class Document(StrictBody):
    """A policy document in TOML; its version is in it."""

    document: str


class PolicySummary(BaseModel):
    """Which policy it is."""

    version: str
    hash: Sha256
    title: str


class CheckedDocument(PolicySummary):
    """A document that is a policy, with how many rows it has, tests that pass, and a warning, which is mostly empty."""

    rows: int
    tests: int
    warning: str


class PolicyChange(BaseModel):
    """A value that differs between two policies; null where one of them has none."""

    place: str
    before: Any
    after: Any


class PolicyDifferences(BaseModel):
    """What differs between two policies; a row is known by its reason, a test by its number."""

    before: PolicySummary
    after: PolicySummary
    changes: list[PolicyChange]


class Approval(StrictBody):
    """What the approver looked at."""

    hash: Sha256 = Field(description="Of the document.")
    backtest: Sha256 = Field(description="Of the backtest.")


class Activating(StrictBody):
    """From when on a version decides; without a time from now on."""

    effective_from: datetime | None = None
    hash: Sha256 | None = Field(None, description="Of the document that was looked at; another one is a 409.")


class RollingBack(StrictBody):
    """To which version; without one to the one before."""

    to: Version | None = None


class Activation(BaseModel):
    """That a version decides, from a time on."""

    version: str
    hash: Sha256
    effective_from: datetime
    ended_shadow: bool = Field(description="Whether it was the shadow, which it is no more.")


class Backtest(StrictBody):
    """What is to be backtested on which applications: a stored version, or a document in TOML."""

    version: Version | None = None
    document: str | None = None
    since: str | None = Field(None, max_length=64, description="2026-11-23T09:30:00Z, or 30d for 30 days ago.")
    until: str | None = Field(None, max_length=64, description="Likewise; accepted before.")
    record: bool = Field(False, description="Keep the report with the proposed version: it is what is approved.")
    replaces: Sha256 | None = Field(
        None, description="Of the backtest whose place it takes; without it, another person's is a 409."
    )


class BacktestReport(BaseModel):
    """The report as `prequal policy backtest --json` prints it, and the SHA-256 of those bytes."""

    report: dict[str, Any]
    sha256: Sha256
    recorded: bool


class RunningBacktest(BaseModel):
    """A backtest that runs: how many applications it has read, and about how many are stored."""

    version: str
    by: str
    begun_at: datetime
    applications_read: int
    applications_about: int


class RunningBacktests(BaseModel):
    """The one that runs; no two do at once."""

    running: RunningBacktest | None


class Shadow(StrictBody):
    """The version that is to decide beside the one in force; null ends that."""

    version: Version | None
    ends: Version | None = Field(None, description="With null: the version that is the shadow; of another it is a 409.")
    replaces: Version | None = Field(None, description=REPLACES)


class ShadowReport(BaseModel):
    """The shadow, and where it would have decided otherwise."""

    version: str | None
    hash: Sha256 | None
    differences: list[dict[str, Any]]


class Challenge(StrictBody):
    """The version that is to decide a share of the applications, in hundredths of a per cent; null ends that."""

    version: Version | None
    share_basis_points: int | None = Field(None, strict=True, ge=1, le=SHARE_MAX)
    ends: Version | None = Field(None, description="With null: the version that challenges; of another it is a 409.")
    replaces: Version | None = Field(None, description=REPLACES)


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
