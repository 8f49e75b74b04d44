"""I1: every application that was answered 202 is in the database, as it was sent.

Invariant: the client's journal is trusted, the database is judged.
"""

from faults.checker.evidence import Evidence, Violation, found
from faults.checker.sent import Sent, content_of, sends


def violations(evidence: Evidence) -> list[Violation]:
    """Accepted applications that are missing, and those that are not what was sent."""
    accepted = [send for send in sends(evidence) if send.application_id is not None]
    there = evidence.applications
    missing = {str(send.application_id) for send in accepted if send.application_id not in there}
    altered = {str(send.application_id) for send in accepted if not _as_sent(evidence, send)}
    return [
        *found("I1", "answered 202 and not in the database", missing),
        *found("I1", "in the database with other content than was sent", altered),
    ]


def _as_sent(evidence: Evidence, send: Sent) -> bool:
    row = evidence.applications.get(str(send.application_id))
    return row is None or send.content == content_of(row)
