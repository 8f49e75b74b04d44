"""Brings the evidence together: waits until the system is at rest, then reads every source once.

Invariant: topics are read after the database, so that what was published in between is explained by what was stored.
"""

import dataclasses
import time
from collections.abc import Iterable
from contextlib import suppress

import psycopg
from confluent_kafka import KafkaException

from faults.checker import controls, database, leaks, processes, topics
from faults.checker.evidence import Evidence, Record
from faults.checker.leaks import Patterns, Search
from faults.checker.system import JudgedSystem
from harness import journal
from harness.journal import Answered, Connections, Entry, Looked, Measured, Probed, Sending
from harness.topics import GROUPS

AT_REST_SECONDS = 60.0
PANS_SEARCHED_FOR = 1_000
LOOK_AGAIN_SECONDS = 0.1


def baseline(system: JudgedSystem) -> tuple[Measured | Connections, ...]:
    """What the journal is to begin with: the measure of every later thread, descriptor and connection."""
    with database.connected(system.database_url) as connection:
        return (*processes.measure(system.processes), database.connections(connection))


def wait_until_at_rest(system: JudgedSystem, within: float = AT_REST_SECONDS) -> float:
    """Wait until everything is decided, published and consumed; the seconds, `within` when it was not in time."""
    began = time.monotonic()
    while (seconds := time.monotonic() - began) < within:
        with suppress(psycopg.OperationalError, KafkaException):  # a store that is not back yet
            with database.connected(system.database_url) as connection:
                waiting = database.not_at_rest(connection)
            if not waiting and not sum(topics.lag(system.bootstrap_servers).values()):
                return seconds
        time.sleep(LOOK_AGAIN_SECONDS)
    return within


def gather(system: JudgedSystem, entries: Iterable[Entry], search: Search) -> Evidence:
    """Everything there is to know of a system at rest; `entries` is what its client wrote down.

    Raises:
        psycopg.Error, KafkaException, topics.Unread: a store does not answer.
    """
    entries = tuple(entries)
    planted = controls.plant(system)
    stored = _stored(system.database_url)
    records = topics.records(system.bootstrap_servers, GROUPS.values())
    pans = {str(sending.body.get("pan_number")) for sending in journal.of(Sending, entries)}
    patterns = Patterns({pan: leaks.masked(pan) for pan in _searched_for(pans)} | planted)
    findings = [*search.files(patterns), *leaks.in_texts(patterns, _texts(entries, records))]
    return dataclasses.replace(
        stored,
        entries=entries,
        draw_key=system.draw_key,
        asks_bureau=system.asks_bureau,
        pan_hashes={pan: system.pan_hash(pan) for pan in pans},
        records=records,
        dead_letters=topics.held(system.bootstrap_servers, [f"{topic}_dlq" for topic in GROUPS.values()]),
        lag=topics.lag(system.bootstrap_servers),
        measured=processes.measure(system.processes),
        findings=tuple(finding for finding in findings if finding.masked not in planted.values()),
        controls_missed=tuple(set(planted.values()) - {finding.masked for finding in findings}),
    )


def _searched_for(pans: set[str]) -> list[str]:
    """The PANs that are looked for: of a crowd's thousands, which leave by the same ways, the first of the alphabet."""
    return sorted(filter(leaks.is_pan, pans))[:PANS_SEARCHED_FOR]


def _stored(database_url: str) -> Evidence:
    """What the database knows."""
    with database.connected(database_url) as connection:
        transactions = database.transactions(connection)
        changes_not_refused = database.changes_not_refused(connection)
        connections = database.connections(connection)
        with database.snapshot(connection):
            return Evidence(
                applications=database.applications(connection),
                policies=database.policies(connection),
                cases=database.cases(connection),
                audit=database.audit(connection),
                outbox=database.outbox(connection),
                holders=database.holders(connection),
                transactions=transactions,
                changes_not_refused=changes_not_refused,
                connections=connections,
            )


def _texts(entries: tuple[Entry, ...], records: Iterable[Record]) -> dict[str, bytes]:
    """What the client was answered, and what the records hold, whatever way the broker stores them."""
    answers = {f"the answer to POST {one.number}": _said(one.body, one) for one in journal.of(Answered, entries)}
    looks = {
        f"the answer to GET {one.application_id} at {one.at}": _said(one.body, one)
        for one in journal.of(Looked, entries)
    }
    probes = {f"{one.service} {one.path} at {one.at}": _said(one.text, one) for one in journal.of(Probed, entries)}
    held = {f"{one.topic} {one.partition} {one.offset}": _content(one) for one in records}
    return answers | looks | probes | held


def _said(text: str, answer: Answered | Looked | Probed) -> bytes:
    return "\0".join([text, *answer.headers.keys(), *answer.headers.values()]).encode()


def _content(record: Record) -> bytes:
    headers = [part for name, value in record.headers for part in (name.encode(), value or b"")]
    return b"\0".join([record.key or b"", record.value or b"", *headers])
