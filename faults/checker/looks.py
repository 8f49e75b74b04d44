"""I8: no status ever stepped back, and no GET after a 202 was a 404.

Forward is from PENDING to any final status, and from MANUAL_REVIEW once more where a person decided.

Invariant: only GETs that did not overlap are compared, for only those have an order.
"""

from collections import defaultdict
from collections.abc import Iterator

from faults.checker.evidence import FINAL, Evidence, Violation, found
from faults.checker.outcomes import LEFT_TO_PEOPLE
from faults.checker.reviews import reviews
from harness.journal import Answered, Looked


def violations(evidence: Evidence) -> list[Violation]:
    """Applications whose client saw what it should not have."""
    looks: defaultdict[str, list[Looked]] = defaultdict(list)
    for look in evidence.of(Looked):
        looks[look.application_id].append(look)
    by_people = set(reviews(evidence))
    back = (id_ for id_, series in looks.items() if _steps_back(series, by_people=id_ in by_people))
    return [
        *found("I8", "was answered 202 and then 404", _not_found(evidence)),
        *found("I8", "stepped back", back),
        *found("I8", "was final with one status and is now another", _changed(evidence, by_people)),
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


def _steps_back(series: list[Looked], *, by_people: bool) -> bool:
    seen = sorted((look for look in series if look.status_code == 200), key=lambda look: look.at)
    first: dict[str, float] = {}
    for look in seen:
        if look.status in FINAL:
            first.setdefault(look.status, look.at)
    return any(
        later.sent_at >= at and not _may_become(status, later.status, by_people=by_people)
        for status, at in first.items()
        for later in seen
    )


def _may_become(final: str, later: str | None, *, by_people: bool) -> bool:
    return later == final or (by_people and final == LEFT_TO_PEOPLE and later in FINAL)


def _changed(evidence: Evidence, by_people: set[str]) -> Iterator[str]:
    for look in evidence.of(Looked):
        row = evidence.applications.get(look.application_id)
        if row is None or look.status not in FINAL:
            continue
        if not _may_become(look.status, row.status, by_people=row.id in by_people):
            yield look.application_id
