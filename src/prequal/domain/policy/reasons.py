"""The reasons of a decision, from what was stored with it.

Invariant: it comes from the row that fired and the figures it saw; nothing is decided again.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from prequal.domain.policy.document import Row
from prequal.domain.policy.policy import Policy
from prequal.domain.policy.sentences import PLACEHOLDER, filled, in_words


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure of a decision: its name, its value as stored, and as people read it."""

    name: str
    value: object
    text: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """A reason: its code, what was measured against which threshold, and a sentence."""

    code: str
    measured: Figure | None
    threshold: Figure | None
    sentence: str


def explain(policy: Policy | None, code: str, measures: Mapping[str, object], language: str = "en") -> Explanation:
    """The reason with this code, in `language`; of a policy or a code that is not known, the figures alone."""
    reason = policy.reason(code) if policy else None
    if policy is None or reason is None:
        return Explanation(code, None, None, _figures(measures))
    sentence: str = getattr(reason, language)
    known = set(PLACEHOLDER.findall(sentence)) <= measures.keys() | policy.scope.limits.keys()
    whole = {**policy.constants, **measures}
    return Explanation(
        code,
        _figure(policy, whole, reason.measured if isinstance(reason, Row) else reason.fact),
        _figure(policy, whole, reason.threshold if isinstance(reason, Row) else None),
        filled(sentence, whole, policy.scope.kinds) if known else _figures(measures),
    )


def _figure(policy: Policy, measures: Mapping[str, object], name: str | None) -> Figure | None:
    if name is None or name not in measures:
        return None
    return Figure(name, measures[name], in_words(measures[name], policy.scope.kinds[name]))


def _figures(measures: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in measures.items())
