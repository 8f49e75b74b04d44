"""Accesses to an application: every entry of the record that is about it.

Invariant: it only reads, and shows no PAN.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from prequal.core.topology import Service
from prequal.postgres.connections import Connection
from prequal.record.queries import readable

PURPOSES: Final = {
    ("WRITE", Service.API.value): "an application was taken, and its PAN encrypted",
    ("READ", Service.CREDIT.value): "the PAN was decrypted for the bureau",
    ("READ", "reencrypt"): "the PAN was decrypted, to be encrypted under a newer key",
    ("UPDATE", "reencrypt"): "the PAN was stored under a newer key",
}


@dataclass(frozen=True, slots=True)
class Access:
    """One entry: `by` is a service, or a person or an operator with the kind before the name."""

    at: datetime
    application_id: str
    by: str
    action: str
    purpose: str
    client: str | None
    request_id: str | None


async def accesses(connection: Connection, application_ids: Sequence[UUID]) -> list[Access]:
    """Every access to these applications, the oldest first."""
    rows = await connection.fetch(
        f"""
        SELECT {readable("occurred_at")}, application_id::text, service, action, client, request_id, 1 AS source, id
        FROM audit_log WHERE application_id = ANY($1::uuid[])
        UNION ALL
        SELECT {readable("occurred_at")}, subject, actor_kind || ' ' || actor, action, NULL, NULL, 2, id
        FROM acts WHERE subject_kind = 'application' AND subject = ANY($1::uuid[]::text[])
        ORDER BY 1, 7, 8
        """,
        application_ids,
    )
    return [
        Access(at, id_, by, action, _purpose(action, by), client, request)
        for at, id_, by, action, client, request, *_ in rows
    ]


async def applications_of(connection: Connection, pan_number_hashes: Sequence[str]) -> list[UUID]:
    """The applications of a PAN, by its keyed hashes; it reads the whole table, for which there is no index."""
    rows = await connection.fetch(
        "SELECT id FROM applications WHERE pan_number_hash = ANY ($1::text[]) ORDER BY created_at", pan_number_hashes
    )
    return [row[0] for row in rows]


def _purpose(action: str, by: str) -> str:
    return PURPOSES.get((action, by), action.replace("_", " ").lower())
