"""The versions of the policy that come with this code, by name.

Invariant: a released document is never changed, only followed by another: a test holds its hash.
"""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Final

from prequal.domain.application import Status
from prequal.domain.policy.loading import load
from prequal.domain.policy.policy import Policy

CURRENT: Final = "v1"
"""The version that a new database begins with."""


def text_of(version: str) -> str | None:
    """The document of a version; None where this code has none."""
    return _texts().get(version)


@cache
def policy_of(version: str) -> Policy | None:
    """The policy of a version; None where this code has none."""
    text = _texts().get(version)
    return None if text is None else load(text)


def current() -> Policy:
    """The policy that a new database begins with."""
    policy = policy_of(CURRENT)
    assert policy is not None
    return policy


def outcomes() -> Mapping[str, Status]:
    """The final status of each reason of every version."""
    known = (policy_of(version) for version in versions())
    return {code: status for policy in known if policy for code, status in policy.outcomes.items()}


def versions() -> tuple[str, ...]:
    """The names of all versions, in order."""
    return tuple(sorted(_texts()))


@cache
def _texts() -> dict[str, str]:
    folder = files("prequal.domain.policy") / "documents"
    return {
        entry.name.removesuffix(".toml"): entry.read_text("utf-8")
        for entry in folder.iterdir()
        if entry.name.endswith(".toml")
    }
