"""I9: at rest nothing waits, and nothing has leaked: outbox, lag, transactions, connections, threads, descriptors.

Invariant: what grows with the number of faults is a leak; the slack is what a healthy process varies by.
"""

from collections.abc import Iterable
from typing import Final

from faults.checker.evidence import Evidence, Violation, found
from faults.checker.processes import service_of
from harness.journal import Connections, Measured, Transaction

TRANSACTION_SECONDS: Final = 10.0
THREADS_SLACK: Final = {"publisher": 12}
FEW_THREADS: Final = 6
"""For all but the publisher: asyncio's pool grows to six. The publisher's second relay may just have begun when it was
first measured, and a producer has threads of its own."""
DESCRIPTORS_SLACK: Final = {"publisher": 24, "api": 16}
FEW_DESCRIPTORS: Final = 12
"""For the others: the API's pool is as good as empty when it is first measured."""
KEPT_BY_CREDIT: Final = 20
"""Connections to a bureau that its HTTP client keeps for the next requests."""
CONNECTIONS_SLACK: Final = 2
"""Of single connections, whose names end in `#`: one may just be taking another's place."""
POOLED_SLACK: Final = 8
"""Of a pool, which opens as many as it needs, up to its size, which is eight."""


def violations(evidence: Evidence) -> list[Violation]:
    """What still waits, was held open for too long, or leaked."""
    waiting = dict.fromkeys(("outbox_events", "outbox_parked"), 0)
    for row in evidence.outbox:
        if row.table in waiting:
            waiting[row.table] += 1
    long = [one for one in (*evidence.of(Transaction), *evidence.transactions) if one.seconds > TRANSACTION_SECONDS]
    return [
        *found("I9", "is not empty", [f"{table}: {count} rows" for table, count in waiting.items() if count]),
        *found("I9", "is behind", [f"{group}: {lag} messages" for group, lag in evidence.lag.items() if lag]),
        *found("I9", "held a transaction open for too long", {f"{one.name}: {one.seconds:.0f} s" for one in long}),
        *found("I9", "has more connections than at the start", _connections(evidence)),
        *found("I9", "has more threads or descriptors than at the start", _processes(evidence)),
    ]


def _connections(evidence: Evidence) -> Iterable[str]:
    first = evidence.of(Connections)
    if evidence.connections is None or not first:
        return []
    before = first[0].by_name
    return [
        f"{name}: {count} for {before.get(name, 0)}"
        for name, count in evidence.connections.by_name.items()
        if count > before.get(name, 0) + (CONNECTIONS_SLACK if name.endswith("#") else POOLED_SLACK)
    ]


def _processes(evidence: Evidence) -> Iterable[str]:
    first: dict[str, Measured] = {}
    for measured in evidence.of(Measured):
        first.setdefault(measured.service, measured)
    for now in evidence.measured:
        if (before := first.get(now.service)) is None:
            continue
        service = service_of(now.service)
        if now.threads > before.threads + THREADS_SLACK.get(service, FEW_THREADS):
            yield f"{now.service}: {now.threads} threads for {before.threads}"
        kept = KEPT_BY_CREDIT if evidence.asks_bureau and service == "credit" else 0
        if now.descriptors > before.descriptors + DESCRIPTORS_SLACK.get(service, FEW_DESCRIPTORS) + kept:
            yield f"{now.service}: {now.descriptors} descriptors for {before.descriptors}"
