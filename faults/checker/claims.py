"""I5: at most one accepted application a PAN in 24 hours that was not rejected when the next was accepted.

Invariant: the database's times decide, and doubt about the order of two commits is no violation.
"""

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from faults.checker.evidence import Application, Evidence, Violation, found
from harness.journal import Answered

CLAIMED = timedelta(hours=24)
WRITING = timedelta(seconds=5)
"""How long after its beginning an application's transaction may have looked, when nobody was answered."""


def violations(evidence: Evidence) -> list[Violation]:
    """Applications that were accepted while an earlier one held their PAN."""
    by_pan: defaultdict[str, list[Application]] = defaultdict(list)
    for row in sorted(evidence.applications.values(), key=lambda row: row.created_at):
        by_pan[row.pan_number_hash].append(row)
    answered_at: dict[str, datetime] = {}
    for answer in evidence.of(Answered):
        if answer.application_id is not None:
            answered_at.setdefault(answer.application_id, datetime.fromtimestamp(answer.at, UTC))
    second = [
        later.id
        for rows in by_pan.values()
        for earlier, later in pairwise(rows)
        if later.created_at - earlier.created_at < CLAIMED
        and not _let_go(earlier, before=answered_at.get(later.id, later.created_at + WRITING))
    ]
    return found("I5", "was accepted while its PAN was taken", second)


def _let_go(earlier: Application, before: datetime) -> bool:
    """Whether an application was rejected before a moment: `created_at` is when a transaction began, not its commit."""
    return earlier.status == "REJECTED" and earlier.updated_at <= before
