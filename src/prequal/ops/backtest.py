"""What another policy would have decided of the applications that are stored.

Invariant: one snapshot is read, row by row in the order of ids; nothing is changed, no PAN read, and the same rows give
the same report, byte for byte.
"""

import json
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final, NamedTuple, TypeAlias
from uuid import UUID

from prequal.core.blocking import blocking
from prequal.domain.application import LoanType, Status
from prequal.domain.policy.facts import Facts, Kind
from prequal.domain.policy.policy import Policy
from prequal.domain.policy.sentences import figure
from prequal.domain.scoring import HIGHEST_SCORE
from prequal.ops import backtest_queries
from prequal.ops.backtest_queries import StoredApplication
from prequal.ops.progress import kept_apart
from prequal.ops.republish import SESSION
from prequal.ops.selection import Moment, Period, period
from prequal.policy_versions.life import every_policy
from prequal.postgres import clock
from prequal.schema.version import connected_at_revision

ROWS_AT_ONCE: Final = 5_000
COMMAND_SECONDS: Final = 600.0
LOWEST_PRIORITY: Final = 19
SESSION_OF_A_REPORT: Final = SESSION | {"idle_in_transaction_session_timeout": "60000"}

BANDS: Final = (300, 550, 600, 650, 700, 750, 800)
"""The lowest scores of the bands of a report."""

Outcome: TypeAlias = tuple[str, str]
"""A status and its reason."""


@dataclass(frozen=True, slots=True)
class Flip:
    """An application whose status would have been another."""

    stored: StoredApplication
    after: Outcome


GroupKey: TypeAlias = tuple[str, int | None, str, str, str, str]


class Group(NamedTuple):
    """Applications that have all this in common; `GroupKey` is the same, cheaper to make for each row."""

    loan_type: str
    score: int | None
    status_before: str
    reason_before: str
    status_after: str
    reason_after: str


@dataclass(slots=True)
class Tally:
    """How many applications of how many paise are in each group; and the flips."""

    sums: dict[GroupKey, list[int]] = field(default_factory=dict)
    flips: list[Flip] = field(default_factory=list)
    replayed_otherwise: list[Flip] = field(default_factory=list)
    of_unknown_versions: int = 0
    pending: int = 0
    newest: UUID | None = None
    """The last of the applications that were read, pending or not, in the order of ids."""

    @property
    def applications(self) -> int:
        """How many decided applications were looked at."""
        return sum(number for number, _ in self.sums.values())


def give_way(pid: int = 0) -> None:
    """Let everything else on this machine go before a process, this one where none is named, from now on.

    A report can wait, applicants cannot.
    """
    os.setpriority(os.PRIO_PROCESS, pid, LOWEST_PRIORITY)


@blocking
async def backtest(
    database_url: str,
    candidate: Policy,
    since: Moment | None = None,
    until: Moment | None = None,
    progress: Callable[[int, int], None] = lambda _, __: None,
) -> dict[str, Any]:
    """Decide the stored applications of a period by `candidate`; returns the report, as JSON has it.

    `progress` is called with how many rows were read, and about how many there are in the whole table.

    Raises:
        UsageError: the period is empty.
        Misconfigured: the database is not migrated.
        Transient: the database does not answer.
        OSError: `progress` raised it.
    """
    tally, read = Tally(), 0
    with kept_apart(progress) as say:
        async with connected_at_revision(database_url, "backtest", SESSION_OF_A_REPORT, COMMAND_SECONDS) as connection:
            created = period(since, until, await clock.now(connection))
            known = await every_policy(connection)
            everything = await backtest_queries.estimated_applications(connection)
            batches = backtest_queries.stored_applications(connection, created.since, created.until, ROWS_AT_ONCE)
            async for rows in batches:
                count(tally, rows, candidate, known)
                tally.newest = rows[-1][0]
                read += len(rows)
                say(read, everything)
    return report(tally, candidate, created)


def count(tally: Tally, rows: Sequence[StoredApplication], candidate: Policy, known: Mapping[str, Policy]) -> None:
    """Add what the candidate says of these rows, and whether the version that decided says what is stored."""
    for row in rows:
        _, status, score, income, amount, loan_type, rule, version = row
        if status == _PENDING:
            tally.pending += 1
            continue
        facts = Facts(score, income, amount, _LOAN_TYPES[loan_type])
        _replay(tally, row, facts, known.get(version))
        code = candidate.decide(facts).code
        after = candidate.outcomes[code].value
        sums = tally.sums.setdefault((loan_type, score, status, rule, after, code), [0, 0])
        sums[0] += 1
        sums[1] += amount
        if after != status:
            tally.flips.append(Flip(row, (after, code)))


def flips(rows: Sequence[StoredApplication], candidate: Policy, most: int) -> tuple[int, list[dict[str, Any]]]:
    """The first flips of these rows, `most` of them, and how many rows were looked at for them."""
    tally, looked_at = Tally(), 0
    for row in rows:
        if len(tally.flips) == most:
            break
        count(tally, [row], candidate, {})
        looked_at += 1
    return looked_at, [_flip(flip) for flip in tally.flips]


def _replay(tally: Tally, row: StoredApplication, facts: Facts, policy: Policy | None) -> None:
    _, status, *_, rule, _ = row
    if policy is None:
        tally.of_unknown_versions += 1
        return
    code = policy.decide(facts).code
    if code != rule or policy.outcomes[code].value != status:
        tally.replayed_otherwise.append(Flip(row, (policy.outcomes[code].value, code)))


_PENDING: Final = Status.PENDING.value
_LOAN_TYPES: Final = {each.value: each for each in LoanType}


class Printed(NamedTuple):
    """A report, written: as `--json` prints it, and the hash of that, which an approver approves."""

    text: str
    digest: bytes
    counts: str
    """What is stored of it, as JSON: its lists of applications as their lengths."""


def printed(report: Mapping[str, Any]) -> Printed:
    """A report, written; for that of a million applications this takes some seconds."""
    text = report_text(report)
    replayed = report["replayed"]
    lengths = {"otherwise_than_stored": len(replayed["otherwise_than_stored"])}
    counts = {**report, "flips": len(report["flips"]), "replayed": replayed | lengths}
    return Printed(text, sha256(text.encode()).digest(), json.dumps(counts, ensure_ascii=False))


def report_text(report: Mapping[str, Any]) -> str:
    """A report as `--json` prints it."""
    return json.dumps(report, indent=1, ensure_ascii=False) + "\n"


def band_of(score: int | None) -> str:
    """The band of a score, as `650–699`."""
    if score is None:
        return "none"
    place = sum(score >= lowest for lowest in BANDS)
    return f"{BANDS[place - 1]}–{BANDS[place] - 1 if place < len(BANDS) else HIGHEST_SCORE}"


def report(tally: Tally, candidate: Policy, created: Period) -> dict[str, Any]:
    """The report, in an order of its own; amounts are decimal strings of rupees."""
    return {
        "candidate": {"version": candidate.version, "hash": candidate.hash},
        "from": created.since and created.since.isoformat(),
        "to": created.until and created.until.isoformat(),
        "newest_application": None if tally.newest is None else str(tally.newest),
        "applications": tally.applications,
        "pending": tally.pending,
        "replayed": {
            "of_unknown_versions": tally.of_unknown_versions,
            "otherwise_than_stored": [_flip(flip) for flip in tally.replayed_otherwise],
        },
        "outcomes": _grouped(tally, lambda group: {}),
        "by_loan_type": _grouped(tally, lambda group: {"loan_type": group.loan_type}),
        "by_score_band": _grouped(tally, lambda group: {"scores": band_of(group.score)}),
        "by_reason": _grouped(tally, lambda group: {}, ("reason_before", "reason_after")),
        "flips": [_flip(flip) for flip in tally.flips],
    }


def _grouped(
    tally: Tally,
    names: Callable[[Group], Mapping[str, str]],
    sides: tuple[str, str] = ("status_before", "status_after"),
) -> list[dict[str, Any]]:
    """Counts and rupees by what `names` makes of a group and by its `sides`; sorted by that."""
    counts, paise = Counter[tuple[tuple[str, str], ...]](), Counter[tuple[tuple[str, str], ...]]()
    for key, (number, amount) in tally.sums.items():
        group = Group(*key)
        before, after = (getattr(group, side) for side in sides)
        named = tuple({**names(group), "before": before, "after": after}.items())
        counts[named] += number
        paise[named] += amount
    return [
        {**dict(named), "applications": counts[named], "loan_amount_inr": figure(paise[named], Kind.MONEY)}
        for named in sorted(counts)
    ]


def _flip(flip: Flip) -> dict[str, Any]:
    id_, status, score, income, amount, loan_type, rule, version = flip.stored
    return {
        "application_id": str(id_),
        "loan_type": loan_type,
        "cibil_score": score,
        "monthly_income_inr": figure(income, Kind.MONEY),
        "loan_amount_inr": figure(amount, Kind.MONEY),
        "policy_version": version,
        "before": {"status": status, "reason": rule},
        "after": {"status": flip.after[0], "reason": flip.after[1]},
    }
