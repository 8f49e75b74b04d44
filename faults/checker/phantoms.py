"""I4: no event, record or decision without its application; a 4xx left no row, a 5xx or a lost answer none or one.

Invariant: every row is explained by a send that may have made it, and one send explains one row.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator

from faults.checker.evidence import Application, Evidence, Violation, found
from faults.checker.sent import Content, Sent, content_of, sends


def violations(evidence: Evidence) -> list[Violation]:
    """What is there and should not be."""
    sent = sends(evidence)
    published = [
        fields.get("application_id") for record in evidence.published() if (fields := record.fields()) is not None
    ]
    there = evidence.applications
    return [
        *found(
            "I4", "is published and there is no such application", {str(id_) for id_ in published if id_ not in there}
        ),
        *found(
            "I4", "has outbox rows and no application", {row.application_id for row in evidence.outbox} - set(there)
        ),
        *found("I4", "is on record and there is no such application", _ids_on_record(evidence) - set(there)),
        *found(
            "I4", "is named by other tables and there is no such application", evidence.holders.keys() - there.keys()
        ),
        *found("I4", "is in the database and no send explains it", _unexplained(evidence, sent)),
        *found("I4", "was accepted, under one key, as several applications", _several_of_one_key(sent)),
    ]


def _ids_on_record(evidence: Evidence) -> set[str]:
    return {row.application_id for row in evidence.audit}


def _unexplained(evidence: Evidence, sent: list[Sent]) -> list[str]:
    """Rows of this run that nobody was published of, beyond those that sends with an unknown end may have left."""
    answered = {send.application_id for send in sent}
    unannounced: defaultdict[Content, list[Application]] = defaultdict(list)
    for row in evidence.of_this_run():
        if row.id not in answered:
            unannounced[content_of(row)].append(row)
    may_be = Counter(send.content for send in _doubtful(sent))
    return [
        row.id
        for content, rows in unannounced.items()
        for row in sorted(rows, key=lambda row: row.created_at)[may_be[content] :]
    ]


def _doubtful(sent: list[Sent]) -> Iterator[Sent]:
    """One send of each attempt whose end is unknown; those under one key are one attempt, and a 202 ends it."""
    attempts: defaultdict[object, list[Sent]] = defaultdict(list)
    for send in sent:
        attempts[send.number if send.key is None else (send.key, send.content)].append(send)
    for attempt in attempts.values():
        if not any(send.application_id for send in attempt):
            yield from [send for send in attempt if send.is_doubtful][:1]


def _several_of_one_key(sent: list[Sent]) -> Iterator[str]:
    ids: defaultdict[tuple[str, Content | None], set[str]] = defaultdict(set)
    for send in sent:
        if send.key is not None and send.application_id is not None:
            ids[send.key, send.content].add(send.application_id)
    return (" = ".join(sorted(several)) for several in ids.values() if len(several) > 1)
