"""What is known when the checker decides: read from every source first, so that deciding is pure.

Invariant: it holds facts as they were found; what a fact means is an invariant's business.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar

from faults.checker.leaks import Finding
from harness import journal
from harness.journal import Connections, Entry, Measured, Planted, Sending, Transaction

FINAL = frozenset({"PRE_APPROVED", "REJECTED", "MANUAL_REVIEW"})

E = TypeVar("E", bound=Entry)


@dataclass(frozen=True, slots=True)
class Application:
    """A row of `applications`."""

    id: str
    pan_number_hash: str
    monthly_income_inr: Decimal
    loan_amount_inr: Decimal
    loan_type: str
    status: str
    cibil_score: int | None
    version: int
    created_at: datetime
    updated_at: datetime
    policy_version: str | None = "v1"
    policy_hash: str | None = ""


@dataclass(frozen=True, slots=True)
class StatedPolicy:
    """What a version of the policy, known by its name and hash, says, and whom it was let decide.

    Attributes:
        minimum: the score that it wants.
        activated: whether it ever was in force, for everybody.
        share: the largest share with which it challenged, in basis points.
    """

    minimum: int = 650
    activated: bool = True
    share: int = 0


@dataclass(frozen=True, slots=True)
class AuditRow:
    """A row of `audit_log`."""

    application_id: str
    action: str
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """An event in one of the outbox's tables: `outbox_events`, `outbox_parked` or `outbox_archive`."""

    table: str
    topic: str
    event_id: str
    application_id: str
    published_at: datetime | None = None
    """Of the archive."""


@dataclass(frozen=True, slots=True)
class Record:
    """A message on one of the two topics."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] = ()
    appended_ms: int | None = None
    """When the broker took it, in milliseconds since 1970 by its own clock (`LogAppendTime`)."""

    def fields(self) -> dict[str, Any] | None:
        """The JSON object in its value, if it is one."""
        try:
            content = json.loads(self.value or b"")
        except ValueError:
            return None
        return content if isinstance(content, dict) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Everything that was found. Defaults are those of a system at rest."""

    entries: tuple[Entry, ...] = ()
    pan_hashes: Mapping[str, str] = field(default_factory=dict)
    """HMAC by PAN, of every PAN that was sent."""
    draw_key: bytes = b""
    """What the simulated scores are drawn with."""
    asks_bureau: bool = False
    """Whether the scores are those of the bureau that is asked over HTTP."""
    applications: Mapping[str, Application] = field(default_factory=dict)
    policies: Mapping[tuple[str | None, str | None], StatedPolicy] = field(
        default_factory=lambda: {("v1", ""): StatedPolicy()}
    )
    """By version and hash, as an application names them."""
    cases: Mapping[str, str | None] = field(default_factory=dict)
    """What people decided, by application, of each that has a case; None while it is undecided."""
    audit: tuple[AuditRow, ...] = ()
    outbox: tuple[OutboxRow, ...] = ()
    holders: Mapping[str, str] = field(default_factory=dict)
    """Tables whose rows name an application that is not there, by that application's id."""
    records: tuple[Record, ...] = ()
    dead_letters: int = 0
    lag: Mapping[str, int] = field(default_factory=dict)
    """Messages behind, by consumer group."""
    transactions: tuple[Transaction, ...] = ()
    connections: Connections | None = None
    measured: tuple[Measured, ...] = ()
    changes_not_refused: tuple[str, ...] = ()
    """Statements that change the audit log and were not refused (and rolled back)."""
    findings: tuple[Finding, ...] = ()
    controls_missed: tuple[str, ...] = ()
    """Where a PAN was planted and the search did not find it."""

    def of(self, kind: type[E]) -> list[E]:
        """The journal's entries of one kind, in order."""
        return journal.of(kind, self.entries)

    @property
    def began_at(self) -> float:
        """When the client first sent something: what the database accepted before is not this run's."""
        return min((sending.at for sending in self.of(Sending)), default=float("inf"))

    def of_this_run(self) -> list[Application]:
        """The applications that were accepted since the client began."""
        began = self.began_at
        return [one for one in self.applications.values() if one.created_at.timestamp() >= began]

    def published(self) -> Iterator[Record]:
        """The records without those that a test planted, and without planted ones that were replayed."""
        planted = {(one.topic, one.partition, one.offset) for one in self.of(Planted)}
        contents = {
            (record.topic, record.key, record.value)
            for record in self.records
            if (record.topic, record.partition, record.offset) in planted
        }
        return (record for record in self.records if (record.topic, record.key, record.value) not in contents)


@dataclass(frozen=True, slots=True)
class Violation:
    """An invariant that does not hold, in words, and the applications or places it does not hold for."""

    invariant: str
    words: str
    ids: tuple[str, ...]

    def __str__(self) -> str:
        shown = ", ".join(self.ids[:5]) + (f" and {len(self.ids) - 5} more" if len(self.ids) > 5 else "")
        return f"{self.invariant} {self.words}: {shown}"


def found(invariant: str, words: str, ids: Iterable[str]) -> list[Violation]:
    """One violation when there is anything to name, none otherwise."""
    named = tuple(sorted(ids))
    return [Violation(invariant, words, named)] if named else []
