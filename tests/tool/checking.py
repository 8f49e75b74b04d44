"""Evidence made by hand: a run in which all is well, and ways to have one thing in it go wrong."""

import dataclasses
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid5

from faults.checker.evidence import Application, AuditRow, Evidence, OutboxRow, Record
from harness import oracle
from harness.journal import SERVICES, Answered, Connections, Entry, Looked, Measured, Probed, Sending
from harness.topics import REPORTED, SUBMITTED

BEGAN = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
T = BEGAN.timestamp()
ID = "01935f6e-7c1a-7b52-9e0b-3f6f2a9d1c44"
OTHER_ID = "01935f6e-7c1a-7b52-9e0b-3f6f2a9d1c45"
PAN, OTHER_PAN = "PQRPS6789T", "LMNPS1234K"
DRAW_KEY = bytes(range(32))
HASHES = {PAN: "5e" * 32, OTHER_PAN: "6f" * 32}
READY = {"status": "ready", "database": "connected", "kafka": "connected"}


def moment(seconds: float) -> datetime:
    """So many seconds after the client began."""
    return BEGAN + timedelta(seconds=seconds)


def a_body(pan: str = PAN, **changes: Any) -> dict[str, Any]:
    fields = {"monthly_income_inr": "85000.00", "loan_amount_inr": "1500000.00", "loan_type": "HOME"}
    return {"pan_number": pan, **fields, **changes}


def a_row(id: str = ID, pan: str = PAN, at: float = 1.0, **changes: Any) -> Application:  # noqa: A002
    """An application as the database has it when all is over: decided a second after it was accepted."""
    score, status = oracle.outcome(DRAW_KEY, pan, "85000.00", "1500000.00", "HOME")
    facts = HASHES[pan], Decimal("85000.00"), Decimal("1500000.00"), "HOME"
    row = Application(id, *facts, status, score, 2, moment(at), moment(at + 1))
    return dataclasses.replace(row, **changes)


def a_record(row: Application, topic: str, offset: int = 0, **changes: Any) -> Record:
    """What a topic tells of an application, half a second before its decision."""
    fields: dict[str, Any] = {
        "event_id": str(uuid5(UUID(row.id), topic)),
        "application_id": row.id,
        "pan_number_hash": row.pan_number_hash,
        "monthly_income_inr": str(row.monthly_income_inr),
        "loan_amount_inr": str(row.loan_amount_inr),
        "loan_type": row.loan_type,
    }
    fields |= {"pan_number_encrypted": "AAAA", "created_at": row.created_at.isoformat()} if topic == SUBMITTED else {}
    late = (row.created_at + timedelta(seconds=0.5)).isoformat()
    fields |= {"cibil_score": row.cibil_score, "generated_at": late} if topic == REPORTED else {}
    fields |= changes
    headers = (("event_id", str(fields["event_id"]).encode()),)
    return Record(topic, 0, offset, row.id.encode(), json.dumps(fields).encode(), headers)


def archived(row: Application, topic: str) -> OutboxRow:
    fields = a_record(row, topic).fields() or {}
    return OutboxRow("outbox_archive", topic, fields["event_id"], row.id, row.created_at + timedelta(seconds=0.6))


def on_record(row: Application) -> tuple[AuditRow, AuditRow]:
    read_at = row.created_at + timedelta(seconds=0.2)
    return AuditRow(row.id, "WRITE", row.created_at), AuditRow(row.id, "READ", read_at)


def a_probe(service: str, path: str, at: float, status: int | None = 200, **body: Any) -> Probed:
    said = {"/health": {"status": "healthy"}, "/ready": READY}[path]
    return Probed(service, path, T + at, T + at + 0.01, status, {**said, **body} if status else {})


def probes(*seconds: float) -> tuple[Probed, ...]:
    """Every service, asked both questions and well, at each of these seconds."""
    return tuple(a_probe(service, path, at) for at in seconds for service in SERVICES for path in ("/health", "/ready"))


def of_rows(*rows: Application, entries: tuple[Entry, ...] = (), **changes: Any) -> Evidence:
    """A run that left these rows, and everything that belongs to them."""
    topics = (SUBMITTED, REPORTED)
    facts: dict[str, Any] = {
        "entries": (Sending(0, T, {}), *entries),
        "pan_hashes": HASHES,
        "draw_key": DRAW_KEY,
        "applications": {row.id: row for row in rows},
        "audit": tuple(line for row in rows for line in on_record(row)),
        "outbox": tuple(archived(row, topic) for row in rows for topic in topics),
        "records": tuple(a_record(row, topic, at) for at, row in enumerate(rows) for topic in topics),
        "lag": {"credit-service-group": 0, "decision-service-group": 0},
        "connections": Connections(T + 60, {"prequal-api write #": 1}),
        "measured": tuple(Measured(service, T + 60, 100 + at, 12, 40) for at, service in enumerate(SERVICES)),
    }
    return Evidence(**facts | changes)


def accepted(
    number: int = 1, row: Application | None = None, key: str | None = "k", at: float = 0.9
) -> tuple[Entry, ...]:
    """A POST that was answered 202, and what its client then saw."""
    row = row or a_row()
    pan = next(pan for pan, pan_hash in HASHES.items() if pan_hash == row.pan_number_hash)
    return (
        Sending(number, T + at, a_body(pan), key),
        Answered(number, T + at + 0.2, 202, "{}", row.id),
        Looked(row.id, T + at + 0.3, T + at + 0.31, 200, "PENDING"),
        Looked(row.id, T + at + 9, T + at + 9.01, 200, row.status),
    )


def a_clean_run() -> Evidence:
    """Two applications accepted and decided, one of them published twice, one refused, one lost, everything probed."""
    first, second = a_row(), a_row(OTHER_ID, OTHER_PAN, at=2.0)
    return of_rows(
        first,
        second,
        entries=(
            Measured("credit", T, 101, 12, 40, decrypts=0.0),
            Measured("api", T, 100, 12, 40),
            Connections(T, {"prequal-api write #": 1}),
            *accepted(1, first),
            *accepted(2, second, key=None, at=1.9),
            Sending(3, T + 3, a_body(loan_type="BOAT")),
            Answered(3, T + 3.1, 422, '{"error_code": "INVALID_LOAN_TYPE"}'),
            Sending(4, T + 4, a_body()),
            *probes(1, 2, 3),
        ),
        records=(
            *(a_record(row, topic, at) for at, row in enumerate((first, second)) for topic in (SUBMITTED, REPORTED)),
            a_record(first, SUBMITTED, offset=7),
        ),
        measured=(Measured("api", T + 60, 100, 14, 44), Measured("credit", T + 60, 101, 12, 40, decrypts=2.0)),
    )


def changed(evidence: Evidence, **changes: Any) -> Evidence:
    return dataclasses.replace(evidence, **changes)


def with_entries(evidence: Evidence, *entries: Entry) -> Evidence:
    return changed(evidence, entries=(*evidence.entries, *entries))
