"""What people did with the applications that the policy left to them: the journal's lines about one, put together.

Invariant: an attempt without an answer may have decided or not; the person's process may have died with it.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from faults.checker.evidence import Evidence
from harness.journal import Reviewed, Reviewing

DECIDED = "decided"


@dataclass(frozen=True, slots=True)
class Review:
    """What people decided of one application: outcomes that they were answered are decided, and those in doubt."""

    decided: list[str] = field(default_factory=list)
    doubtful: list[str] = field(default_factory=list)

    @property
    def outcomes(self) -> list[str]:
        """What the application may have become by people."""
        return self.decided or self.doubtful

    @property
    def versions(self) -> set[int]:
        """Which versions its row may have: 2 by the policy, 3 by people."""
        return {3} if self.decided else {2, 3} if self.doubtful else {2}


def reviews(evidence: Evidence) -> Mapping[str, Review]:
    """By application; of one that nobody tried to decide, nothing."""
    answers = {reviewed.number: reviewed.answer for reviewed in evidence.of(Reviewed)}
    found: defaultdict[str, Review] = defaultdict(Review)
    for attempt in evidence.of(Reviewing):
        answer = answers.get(attempt.number)
        if answer in (None, DECIDED):
            review = found[attempt.application_id]
            (review.doubtful if answer is None else review.decided).append(attempt.outcome)
    return found
