"""I8: no status ever stepped back, and no GET after a 202 was a 404.

Invariant: only GETs that did not overlap are compared, for only those have an order.
"""

from collections import defaultdict
from collections.abc import Iterator

from faults.checker.evidence import FINAL, Evidence, Violation, found
from harness.journal import Answered, Looked


def violations(evidence: Evidence) -> list[Violation]:
    """Applications whose client saw what it should not have."""
    looks: defaultdict[str, list[Looked]] = defaultdict(list)
    for look in evidence.of(Looked):
        looks[look.application_id].append(look)
    return [
        *found("I8", "was answered 202 and then 404", _not_found(evidence)),
        *found("I8", "stepped back", (id_ for id_, series in looks.items() if _steps_back(series))),
        *found("I8", "was final with one status and is now another", _changed(evidence)),
    ]


def _not_found(evidence: Evidence) -> set[str]:
    accepted_at: dict[str, float] = {}
    for answer in evidence.of(Answered):
        if answer.application_id is not None:
            accepted_at.setdefault(answer.application_id, answer.at)
    return {
        look.application_id
        for look in evidence.of(Looked)
        if look.status_code == 404 and accepted_at.get(look.application_id, float("inf")) <= look.sent_at
    }


def _steps_back(series: list[Looked]) -> bool:
    seen = sorted((look for look in series if look.status_code == 200), key=lambda look: look.at)
    finals = [look for look in seen if look.status in FINAL]
    return any(later.sent_at >= final.at and later.status != final.status for final in finals[:1] for later in seen)


def _changed(evidence: Evidence) -> Iterator[str]:
    for look in evidence.of(Looked):
        row = evidence.applications.get(look.application_id)
        if row is not None and look.status in FINAL and look.status != row.status:
            yield look.application_id
