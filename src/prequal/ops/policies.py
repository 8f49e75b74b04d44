"""Policies as files and versions, for the person who writes them: read, described and compared.

Invariant: a file is used only when it is a policy, checked whole.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from prequal.core.errors import UsageError
from prequal.domain.policy import packaged
from prequal.domain.policy.document import Document
from prequal.domain.policy.loading import load
from prequal.domain.policy.policy import Policy


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
    try:
        return load(file.read_text("utf-8"))
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise UsageError(f"{file} is not text in UTF-8.") from None


def version(name: str) -> Policy:
    """A version that comes with this code.

    Raises:
        UsageError: there is none of this name.
    """
    policy = packaged.policy_of(name)
    if policy is None:
        raise UsageError(f"There is no version of this name; there are {', '.join(packaged.versions())}.")
    return policy


def named(text: str) -> Policy:
    """The version, or the policy in the file, that `text` names.

    Raises:
        UsageError: it is neither a version nor a file that can be read.
        NotAPolicy: the file's document breaks a rule.
    """
    return packaged.policy_of(text) or load_file(Path(text))


def as_json(policy: Policy) -> dict[str, Any]:
    """A policy with its hash, and whether applications are decided by it."""
    return {
        "version": policy.version,
        "hash": policy.hash,
        "current": policy is packaged.current(),
        "document": asdict(policy.document),
    }


def changes(before: Policy, after: Policy) -> list[Change]:
    """What differs between two policies, place by place; a row is known by its reason."""
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
    yield "tests", tests


def _leaves(place: str, value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, Mapping):
        for name, each in value.items():
            yield from _leaves(f"{place}.{name}" if place else name, each)
    elif value is not None:
        yield place, value
