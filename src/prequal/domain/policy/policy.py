"""A version of the policy, checked and ready to decide.

Invariant: a fact that the policy reads and that is missing neither approves nor rejects: people review the application.
So it is with the score, also where no row reads it.
"""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from prequal.domain.application import Status
from prequal.domain.policy import compiling
from prequal.domain.policy.conditions import Comparison
from prequal.domain.policy.document import Document, Missing, Row
from prequal.domain.policy.facts import KINDS, NEVER_KNOWN, Facts, Kind
from prequal.domain.policy.scope import AMOUNT, Scope
from prequal.domain.policy.sentences import figure

Reason = Row | Missing


class Decision(NamedTuple):
    """What a policy says of an application: the row that fired or the fact that is missing, and all values."""

    policy: "Policy"
    fired: Reason
    values: tuple[Any, ...]

    @property
    def status(self) -> Status:
        """The final status."""
        return self.policy.outcomes[self.fired.reason]

    @property
    def code(self) -> str:
        """The reason's code."""
        return self.fired.reason

    @property
    def measures(self) -> dict[str, str | int | None]:
        """Facts, limits and derived facts by name: money as decimal strings of rupees; None is what is missing."""
        return self.policy.measures(self.values)

    @property
    def measures_json(self) -> str:
        """`measures` as a JSON object."""
        if isinstance(self.fired, Missing):
            return json.dumps(self.measures)
        return self.policy.measures_json(self.values)


class Policy:
    """Decides by the rows of a checked document, the first that matches."""

    def __init__(
        self, document: Document, hash_: str, scope: Scope, tables: tuple[tuple[Comparison, ...], ...]
    ) -> None:
        """Compile a document; `tables` are the conditions of its rows, understood. See `loading.load`."""
        self.document = document
        self.hash = hash_
        self.digest = bytes.fromhex(hash_)
        self.scope = scope
        reasons: list[Reason] = [*document.rows, *document.missing]
        self._reasons = {each.reason: each for each in reasons}
        self.outcomes: Mapping[str, Status] = {
            each.reason: Status(each.outcome) if isinstance(each, Row) else Status.MANUAL_REVIEW for each in reasons
        }
        places = {name: place for place, name in enumerate([*KINDS, *scope.order])}
        self._derivations = [compiling.derivation(document.derived[name], scope, places) for name in scope.order]
        compiled = [[compiling.condition(each, scope, places) for each in conditions] for conditions in tables]
        self._rows = list(zip(compiled, document.rows, strict=True))
        self._required = [(places[missing.fact], missing) for missing in document.missing]
        self._read = [missing.fact for missing in document.missing]
        self._shown = [(name, places[name], scope.kinds[name]) for name in [*self._read, *scope.order]]
        self.constants = {name: figure(value, scope.kinds[name]) for name, value in scope.limits.items()}
        constants = json.dumps(self.constants)[1:-1].replace("%", "%%")
        shown = [f'"{name}": {_template(kind)}' for name, _, kind in self._shown]
        self._template = f"{{{', '.join([*shown, *([constants] if constants else [])])}}}"
        self.conditions_on_amount = tuple(
            condition
            for comparisons, conditions in zip(tables, compiled, strict=True)
            for comparison, condition in zip(comparisons, conditions, strict=True)
            if AMOUNT in scope.facts_of(comparison.left) | scope.facts_of(comparison.right)
        )

    @property
    def version(self) -> str:
        """The version's name."""
        return self.document.version

    @property
    def facts_never_known(self) -> tuple[str, ...]:
        """The facts that it reads and no application has: because of any of them people review every application."""
        return tuple(fact for fact in self._read if fact in NEVER_KNOWN)

    @property
    def warning(self) -> str:
        """What is wrong with putting it into force though it is a policy; empty for most."""
        never = ", ".join(self.facts_never_known)
        return never and f"It reads {never}, which no application has, so people would review every application."

    def decide(self, facts: Facts) -> Decision:
        """The first row whose conditions all hold; before that, the first fact of `[[missing]]` that is missing."""
        for place, missing in self._required:
            if facts[place] is None:
                return Decision(self, missing, facts)
        values = self.values(facts)
        for conditions, row in self._rows:
            for condition in conditions:
                if not condition(values):
                    break
            else:
                return Decision(self, row, values)
        raise AssertionError("the last row takes all")

    def values(self, facts: Facts) -> tuple[Any, ...]:
        """Facts and derived facts; nothing that the policy reads is missing."""
        values: tuple[Any, ...] = facts
        for derive in self._derivations:
            values += (derive(values),)
        return values

    def measures(self, values: tuple[Any, ...]) -> dict[str, str | int | None]:
        """See `Decision.measures`."""
        known = len(values)
        shown = {name: figure(values[at], kind) if at < known else None for name, at, kind in self._shown}
        return shown | self.constants

    def measures_json(self, values: tuple[Any, ...]) -> str:
        """`measures` of an application of which nothing is missing, by a template that was made once."""
        parts: list[Any] = []
        for _, at, kind in self._shown:
            if kind in _IN_HUNDREDTHS:
                parts += divmod(values[at], 100)
            else:
                parts.append(values[at])
        return self._template % tuple(parts)

    def reason(self, code: str) -> Reason | None:
        """The row or missing fact of a reason code."""
        return self._reasons.get(code)


_IN_HUNDREDTHS = (Kind.MONEY, Kind.SHARE)


def _template(kind: Kind) -> str:
    """A figure in JSON, as `%` fills it in."""
    if kind in _IN_HUNDREDTHS:
        return '"%d.%02d"'
    return '"%s"' if kind is Kind.LOAN_TYPE else "%d"
