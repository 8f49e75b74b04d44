"""Decides: every invariant over one body of evidence, and the figures that are worth knowing beside it.

Invariant: pure; the same evidence is always judged the same.
"""

from collections import Counter
from collections.abc import Callable, Mapping

from faults.checker import accepted, claims, events, looks, outcomes, phantoms, probes, record, rest, secrecy
from faults.checker.evidence import Evidence, Violation
from faults.checker.sent import sends

INVARIANTS: Mapping[str, Callable[[Evidence], list[Violation]]] = {
    "I1": accepted.violations,
    "I2": outcomes.violations,
    "I3": events.violations,
    "I4": phantoms.violations,
    "I5": claims.violations,
    "I6": secrecy.violations,
    "I7": record.violations,
    "I8": looks.violations,
    "I9": rest.violations,
    "I10": probes.violations,
}


def check(evidence: Evidence) -> list[Violation]:
    """Everything that does not hold; empty when all ten invariants do."""
    return [violation for violations in INVARIANTS.values() for violation in violations(evidence)]


def figures(evidence: Evidence) -> dict[str, int]:
    """What was seen, in numbers: no invariant, but how a test shows that it bit."""
    ends = Counter(_end(send.answer.status if send.answer else None) for send in sends(evidence))
    return {
        "sent": sum(ends.values()),
        "accepted": ends["accepted"],
        "refused": ends["refused"],
        "in doubt": ends["in doubt"],
        "applications": len(evidence.of_this_run()),
        "records": len(evidence.records),
        "raw duplicates": events.raw_duplicates(evidence),
        "dead letters": evidence.dead_letters,
        "decrypts": int(record.decrypts(evidence)),
    }


def _end(status: int | None) -> str:
    if status == 202:
        return "accepted"
    return "refused" if status is not None and status < 500 else "in doubt"
