"""I7: for every decrypt that happened there is an audit row, committed before; none can be changed or removed.

Invariant: more rows than decrypts are fine (the record comes first), fewer never.
"""

from collections import Counter, defaultdict
from datetime import datetime

from faults.checker.events import TIMES
from faults.checker.evidence import Evidence, Violation, found
from harness.journal import Measured
from harness.topics import REPORTED


def violations(evidence: Evidence) -> list[Violation]:
    """PANs that were opened off the record, and a record that is not for ever."""
    reads: defaultdict[str, list[datetime]] = defaultdict(list)
    for row in evidence.audit:
        if row.action == "READ":
            reads[row.application_id].append(row.occurred_at)
    written = Counter(row.application_id for row in evidence.audit if row.action == "WRITE")
    opened, on_record = decrypts(evidence), sum(map(len, reads.values()))
    return [
        *found("I7", "was scored and nobody recorded that its PAN was opened", _scored(evidence) - reads.keys()),
        *found("I7", "was opened before the record of it was committed", _opened_too_early(evidence, reads)),
        *found("I7", "was accepted and is not on record once", [i for i in evidence.applications if written[i] != 1]),
        *found("I7", "PANs opened and on record", [f"{opened:.0f}, {on_record}"] if opened > on_record else []),
        *found("I7", "changes the audit log and is not refused", evidence.changes_not_refused),
    ]


def decrypts(evidence: Evidence) -> float:
    """How many decrypts were seen, at least: a life of the process is counted up to when it was last asked."""
    last: dict[int, float] = {}
    for measured in (*evidence.of(Measured), *evidence.measured):
        if measured.decrypts is not None:
            last[measured.pid] = max(measured.decrypts, last.get(measured.pid, 0.0))
    return sum(last.values())


def _scored(evidence: Evidence) -> set[str]:
    reported = {row.application_id for row in evidence.outbox if row.topic == REPORTED}
    return reported | {one.id for one in evidence.applications.values() if one.cibil_score is not None}


def _opened_too_early(evidence: Evidence, reads: dict[str, list[datetime]]) -> set[str]:
    """A report has the time of its transaction, which began after the record's was over."""
    early = set()
    for record in evidence.published():
        if record.topic == REPORTED and (fields := record.fields()) and fields.get("application_id") in reads:
            reported_at = datetime.fromisoformat(str(fields.get(TIMES[REPORTED])))
            if min(reads[fields["application_id"]]) >= reported_at:
                early.add(str(fields["application_id"]))
    return early
