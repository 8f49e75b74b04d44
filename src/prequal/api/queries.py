"""The SQL of the API: the one write that many requests share, what became of its losers, and one read.

Invariant: only the database says duplicate, by its own clock, in one statement.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from prequal.core.topology import topic_of
from prequal.domain.application import LoanApplication
from prequal.domain.events import EventType, event_id
from prequal.messaging.events import submitted_body
from prequal.messaging.outbox import close_body
from prequal.postgres.connections import Connection


@dataclass(frozen=True, slots=True)
class NewApplication:
    """A valid application, encrypted and ready to be written; key and request are HMACs, absent without a key."""

    application: LoanApplication
    encrypted_pan: bytes
    pan_number_hash: str
    request_id: str
    key_hmac: bytes | None
    request_hmac: bytes | None
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class Remembered:
    """The first answer to an Idempotency-Key, and what it was an answer to."""

    request_hmac: bytes
    application_id: UUID
    request_id: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class CurrentStatus:
    """What a status request is answered with."""

    status: str
    cibil_score: int | None
    pan_number_masked: str
    created_at: datetime
    updated_at: datetime


WRITE = f"""
    WITH input AS (
        SELECT * FROM unnest(
            $1::uuid[], $2::bytea[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
            $9::text[], $10::bytea[], $11::bytea[], $12::uuid[], $13::text[], $14::text[]
        ) AS input (
            application_id, encrypted_pan, pan_number_hash, masked_pan, applicant_name, income, amount, loan_type,
            request_id, key_hmac, request_hmac, event_id, body, traceparent
        )
    ), keys AS (
        -- Keys before claims, each in sorted order: two writers that meet wait for each other in one direction only.
        INSERT INTO idempotency_keys AS known (key_hmac, request_hmac, application_id, request_id, expires_at)
        SELECT key_hmac, request_hmac, application_id, request_id, now() + interval '24 hours'
        FROM input WHERE key_hmac IS NOT NULL ORDER BY key_hmac
        ON CONFLICT (key_hmac) DO UPDATE
        SET request_hmac = EXCLUDED.request_hmac,
            application_id = EXCLUDED.application_id,
            request_id = EXCLUDED.request_id,
            expires_at = EXCLUDED.expires_at
        WHERE known.expires_at <= now()
        RETURNING application_id
    ), eligible AS (
        SELECT * FROM input
        WHERE key_hmac IS NULL OR application_id = ANY (ARRAY (SELECT application_id FROM keys))
    ), claims AS (
        -- The 24-hour rule. Of equal PANs in one batch the first claims; the claim of a rejected application is free.
        INSERT INTO pan_claims AS held (pan_number_hash, application_id, expires_at)
        SELECT DISTINCT ON (pan_number_hash) pan_number_hash, application_id, now() + interval '24 hours'
        FROM eligible ORDER BY pan_number_hash, application_id
        ON CONFLICT (pan_number_hash) DO UPDATE
        SET application_id = EXCLUDED.application_id, expires_at = EXCLUDED.expires_at
        WHERE held.expires_at <= now()
           OR held.application_id = EXCLUDED.application_id
           OR (SELECT status FROM applications WHERE id = held.application_id) = 'REJECTED'
        RETURNING application_id
    ), accepted AS (
        INSERT INTO applications (
            id, pan_number_encrypted, pan_number_hash, pan_number_masked, applicant_name,
            monthly_income_inr, loan_amount_inr, loan_type
        )
        SELECT application_id, encrypted_pan, pan_number_hash, masked_pan, applicant_name,
               income::numeric, amount::numeric, loan_type
        FROM eligible WHERE application_id = ANY (ARRAY (SELECT application_id FROM claims))
        ON CONFLICT (id) DO NOTHING
        RETURNING id, created_at
    ), recorded AS (
        INSERT INTO audit_log (application_id, service, action, request_id)
        SELECT application_id, $15, 'WRITE', request_id
        FROM input WHERE application_id = ANY (ARRAY (SELECT id FROM accepted))
    ), told AS (
        INSERT INTO outbox_events (
            topic, event_type, event_id, application_id, payload, correlation_id, traceparent
        )
        SELECT $16, $17, event_id, application_id, {close_body("body", "created_at")}, request_id, traceparent
        FROM input WHERE application_id = ANY (ARRAY (SELECT id FROM accepted))
    )
    SELECT id, created_at FROM accepted
"""


async def write(connection: Connection, batch: Sequence[NewApplication], service: str) -> dict[UUID, datetime]:
    """Write what may be accepted of `batch`, all of it in the transaction at hand; returns ids and acceptance times.

    Who is missing from the answer lost its key or its PAN to another application. No two rows have the same key.
    """
    rows = await connection.fetch(
        WRITE,
        [new.application.id for new in batch],
        [new.encrypted_pan for new in batch],
        [new.pan_number_hash for new in batch],
        [new.application.pan.masked for new in batch],
        [new.application.applicant_name for new in batch],
        [str(new.application.monthly_income_inr) for new in batch],
        [str(new.application.loan_amount_inr) for new in batch],
        [new.application.loan_type.value for new in batch],
        [new.request_id for new in batch],
        [new.key_hmac for new in batch],
        [new.request_hmac for new in batch],
        [event_id(EventType.APPLICATION_SUBMITTED, new.application.id) for new in batch],
        [_body(new) for new in batch],
        [new.traceparent for new in batch],
        service,
        topic_of(EventType.APPLICATION_SUBMITTED),
        EventType.APPLICATION_SUBMITTED.value,
    )
    return {row[0]: row[1] for row in rows}


async def release_keys(connection: Connection, refused: Sequence[NewApplication]) -> None:
    """Forget the keys of applications that were refused after all: a refused request does not use its key up."""
    await connection.execute(
        "DELETE FROM idempotency_keys WHERE key_hmac = ANY ($1::bytea[]) AND application_id = ANY ($2::uuid[])",
        sorted(new.key_hmac for new in refused if new.key_hmac is not None),
        [new.application.id for new in refused],
    )


async def remembered(connection: Connection, key_hmacs: Sequence[bytes]) -> dict[bytes, Remembered]:
    """The first answers to these keys, as far as there are any."""
    rows = await connection.fetch(
        """
        SELECT known.key_hmac, known.request_hmac, known.application_id, known.request_id, application.created_at
        FROM idempotency_keys AS known
        CROSS JOIN LATERAL (SELECT created_at FROM applications WHERE id = known.application_id LIMIT 1) AS application
        WHERE known.key_hmac = ANY ($1::bytea[])
        """,
        key_hmacs,
    )
    return {row[0]: Remembered(*row[1:]) for row in rows}


async def accepted_among(connection: Connection, ids: Sequence[UUID]) -> dict[UUID, datetime]:
    """Which of these applications are there, with their acceptance times."""
    rows = await connection.fetch("SELECT id, created_at FROM applications WHERE id = ANY ($1::uuid[])", ids)
    return {row[0]: row[1] for row in rows}


async def end_backend(connection: Connection, pid: int, application_name: str) -> None:
    """End the backend of a connection that was lost, if it still is that one and not a later one with its number."""
    await connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = $1 AND application_name = $2",
        pid,
        application_name,
    )


async def current_status(connection: Connection, application_id: UUID) -> CurrentStatus | None:
    """Where one application stands; None when there is none."""
    row = await connection.fetchrow(
        """
        SELECT status, cibil_score, pan_number_masked, created_at, updated_at
        FROM applications WHERE id = $1
        """,
        application_id,
    )
    return None if row is None else CurrentStatus(*row)


def _body(new: NewApplication) -> str:
    application = new.application
    return submitted_body(
        application.id,
        new.encrypted_pan,
        new.pan_number_hash,
        application.monthly_income_inr,
        application.loan_amount_inr,
        application.loan_type,
    )
