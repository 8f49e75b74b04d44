"""Policies as files and versions, for the people who write and approve them: read, described and compared.

Invariant: a document is used only when it is a policy, checked whole.
"""

import json
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

from prequal.core.errors import UsageError
from prequal.domain.application import time_of
from prequal.domain.counts import grouped
from prequal.domain.policy import packaged
from prequal.domain.policy.document import Document
from prequal.domain.policy.facts import Kind
from prequal.domain.policy.loading import load
from prequal.domain.policy.policy import Policy
from prequal.domain.policy.sentences import in_words
from prequal.ops.backtest import printed
from prequal.policy_versions import life
from prequal.policy_versions.queries import Activation, StoredVersion
from prequal.postgres.connections import Connection
from prequal.record.acts import Actor
from prequal.schema.version import run_at_revision

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Change:
    """A value that differs between two policies; None where one of them has none."""

    place: str
    before: object
    after: object


def load_file(file: Path) -> Policy:
    """The policy that a file holds.

    Raises:
        UsageError: the file cannot be read, or is no UTF-8.
        NotAPolicy: the document breaks a rule.
    """
    return load(read_file(file))


def read_file(file: Path) -> str:
    """The text of a file. Raises `UsageError` when it cannot be read, or is no UTF-8."""
    try:
        return file.read_text("utf-8")
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise UsageError(f"{file} is not text in UTF-8.") from None


def named(text: str, database_url: str | None) -> Policy:
    """The version that comes with this code, the file, or the version of the database that `text` names.

    Raises:
        UsageError: it is neither a version nor a file that can be read.
        NotAPolicy: the file's document breaks a rule.
        NoSuchVersion: it is no file, and the database has no such version.
        Conflict: this code does not understand the version's document.
    """
    if found := packaged.policy_of(text):
        return found
    if database_url is None or is_file(text):
        return load_file(Path(text))
    return policy_of(stored(database_url, text))


def is_file(text: str) -> bool:
    """Whether `text` names a file rather than a version."""
    return packaged.policy_of(text) is None and (Path(text).exists() or text.endswith(".toml"))


def stored(database_url: str, name: str | None) -> StoredVersion:
    """A version of the database, by default the one in force.

    Raises:
        NoSuchVersion: there is none.
        Transient, Misconfigured: as of `in_transaction`.
    """
    return in_transaction(database_url, lambda connection: life.found(connection, name))


def policy_of(version: StoredVersion) -> Policy:
    """The policy of a stored version; `Conflict` where this code does not understand it."""
    return life.loaded(version.version, version.document, version.hash)


def in_transaction(database_url: str, act: Callable[[Connection], Awaitable[T]]) -> T:
    """What `act` returns, committed.

    Raises:
        Transient: the database does not answer.
        Misconfigured: the database is not migrated.
    """

    async def committed(connection: Connection) -> T:
        async with connection.transaction():
            return await act(connection)

    return run_at_revision(database_url, "policy", committed)


@dataclass(frozen=True, slots=True)
class ShownVersion:
    """A version with its document's text; and where it stands, as JSON, unless it comes with this code."""

    policy: Policy
    text: str
    life: Mapping[str, Any] | None = None

    @classmethod
    def of_json(cls, answer: Mapping[str, Any]) -> "ShownVersion":
        """The version of an answer of the console's API. Raises `Conflict` where this code does not understand it."""
        policy = life.loaded(answer["version"], answer["text"], bytes.fromhex(answer["hash"]))
        about = {name: each for name, each in answer.items() if name not in {"version", "hash", "title", "text"}}
        return cls(policy, answer["text"], about)


def shown(name: str | None, database_url: str | None) -> ShownVersion:
    """A version by its name, by default the one in force; without a database one that comes with this code.

    Raises:
        UsageError: there is no database, and this code has no such version.
        NoSuchVersion: the database has none.
        Conflict: this code does not understand its document.
    """
    if database_url is None:
        policy, text = packaged.policy_of(name or packaged.CURRENT), packaged.text_of(name or packaged.CURRENT)
        if policy is None or text is None:
            raise UsageError(
                f"There is no version of this name; there are {', '.join(packaged.versions())}, "
                "and those of a database, if DATABASE_URL names one."
            )
        return ShownVersion(policy, text)
    version = stored(database_url, name)
    return ShownVersion(policy_of(version), version.document, life_as_json(version))


def packaged_versions() -> list[dict[str, Any]]:
    """The versions that come with this code, for a list."""
    known = [policy for name in packaged.versions() if (policy := packaged.policy_of(name))]
    return [
        {
            "version": each.version,
            "hash": each.hash,
            "title": each.document.title,
            "state": "packaged",
            "current": each is packaged.current(),
        }
        for each in known
    ]


def listed(database_url: str) -> list[dict[str, Any]]:
    """The versions of a database, for a list."""
    return list(map(version_as_json, in_transaction(database_url, life.every_version)))


def version_as_json(version: StoredVersion) -> dict[str, Any]:
    """A stored version without its document."""
    about = {"version": version.version, "hash": version.hash.hex(), "title": _title(version)}
    return about | life_as_json(version)


def proposed_as_json(version: StoredVersion) -> dict[str, Any]:
    """A version that was proposed now, and whether that ended the shadow."""
    return version_as_json(version) | {"ended_shadow": version.ended_shadow}


def state_in_words(life: Mapping[str, Any]) -> str:
    """Where a version stands by its JSON, and what it does beside the one in force: `approved, challenger of 10 %`."""
    share = life.get("challenge_share_basis_points")
    words = [life["state"], share and f"challenger of {share / 100:g} %", life.get("is_shadow") and "shadow"]
    return ", ".join(filter(None, words))


def _title(version: StoredVersion) -> str:
    try:
        return policy_of(version).document.title
    except life.Conflict as problem:
        return str(problem)


def record_backtest(
    database_url: str, actor: Actor, policy: Policy, report: Mapping[str, Any], seen: life.Seen
) -> StoredVersion:
    """Record a report with the version that it is of. Raises as `life.record_backtest` and `in_transaction`."""
    made = printed(report)
    return in_transaction(
        database_url, lambda connection: life.record_backtest(connection, actor, policy, made.digest, made.counts, seen)
    )


def replay_in_words(report: Mapping[str, Any]) -> str:
    """How the applications of a recorded report came out when their own versions decided them again; else empty."""
    if "replayed" not in report:
        return ""
    otherwise, unknown = report["replayed"]["otherwise_than_stored"], report["replayed"]["of_unknown_versions"]
    same = report["applications"] - otherwise - unknown
    return f"{grouped(same)} as stored, {grouped(otherwise)} otherwise, {grouped(unknown)} of unknown versions"


def newest_read(report: Mapping[str, Any]) -> tuple[str, datetime] | None:
    """The application that a report read last, and when it came; None where it read none, or does not say it."""
    found = report.get("newest_application")
    return (found, time_of(UUID(found))) if found else None


def as_json(version: ShownVersion) -> dict[str, Any]:
    """A version with its hash, and where it stands if it was read from a database."""
    policy = version.policy
    about = {"version": policy.version, "hash": policy.hash, "document": asdict(policy.document)}
    return about | dict(version.life or {"current": policy is packaged.current()})


def life_as_json(version: StoredVersion) -> dict[str, Any]:
    """Where a stored version stands, and by whom it came there."""
    report = version.backtest_report
    return {
        "state": version.state.value,
        "current": version.is_in_force,
        "authors": list(version.authors),
        "proposed_at": version.proposed_at.isoformat(),
        "backtest": version.backtest_hash and version.backtest_hash.hex(),
        "backtest_report": report and json.loads(report),
        "backtested_at": version.backtested_at and version.backtested_at.isoformat(),
        "approved_by": version.approved_by,
        "approved": version.approved_hash and version.approved_hash.hex(),
        "approved_at": version.approved_at and version.approved_at.isoformat(),
        "scheduled_for": version.scheduled_for and version.scheduled_for.isoformat(),
        "challenge_share_basis_points": version.challenge_share,
        "is_shadow": version.is_shadow,
    }


def activation_as_json(activation: Activation) -> dict[str, Any]:
    """That a version decides, from when on, and whether that ended the shadow."""
    at, ended = activation.effective_from.isoformat(), activation.ended_shadow
    return {"version": activation.version, "hash": activation.hash.hex(), "effective_from": at, "ended_shadow": ended}


def limits(policy: Policy) -> dict[str, str]:
    """The limits of a policy, each with its unit."""
    return {name: _in_words(policy, name) for name in policy.document.limits}


def _in_words(policy: Policy, name: str) -> str:
    unit = " months" if policy.scope.kinds[name] is Kind.MONTHS else ""
    return in_words(policy.constants[name], policy.scope.kinds[name]) + unit


def summary(policy: Policy) -> dict[str, Any]:
    """Which policy it is, as JSON."""
    return {"version": policy.version, "hash": policy.hash, "title": policy.document.title}


def checked(policy: Policy) -> dict[str, Any]:
    """What the check of a document says of it, as JSON: which policy it is, how much it holds, and its warning."""
    counted = {"rows": len(policy.document.rows), "tests": len(policy.document.tests)}
    return summary(policy) | counted | {"warning": policy.warning}


def compared(before: Policy, after: Policy) -> dict[str, Any]:
    """Two policies and what differs between them, as JSON."""
    found = [asdict(change) for change in changes(before, after)]
    return {"before": summary(before), "after": summary(after), "changes": found}


def changes(before: Policy, after: Policy) -> list[Change]:
    """What differs between two policies, place by place; a row is known by its reason, a test by its number."""
    old, new = dict(_flat(before.document)), dict(_flat(after.document))
    return [
        Change(place, old.get(place), new.get(place))
        for place in dict.fromkeys([*old, *new])
        if old.get(place) != new.get(place)
    ]


def _flat(document: Document) -> Iterator[tuple[str, object]]:
    whole = asdict(document)
    rows, missing, tests = whole.pop("rows"), whole.pop("missing"), whole.pop("tests")
    yield from _leaves("", whole)
    yield "order of rows", [row.reason for row in document.rows]
    for row in rows:
        yield from _leaves(f"row {row.pop('reason')}", row)
    for each in missing:
        yield from _leaves(f"missing {each.pop('fact')}", each)
    for number, each in enumerate(tests, 1):
        yield from _leaves(f"test {number}", each)


def _leaves(place: str, value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, Mapping):
        for name, each in value.items():
            yield from _leaves(f"{place}.{name}" if place else name, each)
    elif value is not None:
        yield place, value
