"""I6: no PAN in the clear, and no unkeyed hash of one, in any file, message or answer.

Invariant: a search that did not find what was planted proves nothing, and is a violation itself.
"""

from faults.checker.evidence import Evidence, Violation, found


def violations(evidence: Evidence) -> list[Violation]:
    """Where a PAN stood, and whether the search can be trusted."""
    places = {f"{finding.masked} ({finding.form}) in {finding.place}" for finding in evidence.findings}
    return [
        *found("I6", "stands in the clear", places),
        *found("I6", "was planted and not found, so the search proves nothing", evidence.controls_missed),
    ]
