"""The SQL of the API: the one write that many requests share, what became of the refused, and two reads.

Invariant: only the database says duplicate, by its own clock, in one statement.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

import asyncpg

from prequal.core.topology import topic_of
from prequal.domain.application import LoanApplication
from prequal.domain.events import event_id
from prequal.messaging.events import ApplicationSubmitted
from prequal.messaging.outbox import with_time
from prequal.postgres.columns import Columns
from prequal.postgres.connections import Connection


@dataclass(frozen=True, slots=True)
class NewApplication:
    """A valid application, encrypted and ready to be written; key and request are HMACs, absent without a key.

    One without a `claim_key` is the sandbox's: the 24-hour rule does not hold for it. Both keys are the client's own.
    """

    application: LoanApplication
    encrypted_pan: bytes
    pan_number_hash: str
    request_id: str
    key_hmac: bytes | None
    request_hmac: bytes | None
    claim_key: str | None
    client: str
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """An application that is there now; a repeat took over the claim of a rejected one, within its 24 hours."""

    created_at: datetime
    is_repeat: bool


@dataclass(frozen=True, slots=True)
class Remembered:
    """The first answer to an Idempotency-Key, and what it was an answer to."""

    request_hmac: bytes
    application_id: UUID
    request_id: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Holder:
    """The accepted application that has a PAN."""

    application_id: UUID
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Reviewed:
    """What people decided of an application, and when the policy had left it to them."""

    outcome: str
    reason: str
    decided_at: datetime
    opened_at: datetime


@dataclass(frozen=True, slots=True)
class CurrentStatus:
    """What a status request is answered with."""

    review: Reviewed | None
    status: str
    cibil_score: int | None
    pan_number_masked: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class StoredDecision:
    """A decision as it is stored, and what it was taken from; of a pending application the decision is absent.

    All but `status`, `updated_at` and `review` is the policy's decision, and stays when people decide.
    """

    review: Reviewed | None
    status: str
    cibil_score: int | None
    monthly_income_inr: Decimal
    loan_amount_inr: Decimal
    loan_type: str
    rule: str | None
    measures: str | None
    policy_version: str | None
    policy_hash: bytes | None
    updated_at: datetime
    report_age_seconds: int | None = None
    """How old the bureau's report was, where a kept one was used again."""


def _body(new: NewApplication) -> str:
    application = new.application
    return ApplicationSubmitted.body(
        application.id,
        pan_number_encrypted=new.encrypted_pan,
        pan_number_hash=new.pan_number_hash,
        monthly_income_inr=application.monthly_income_inr,
        loan_amount_inr=application.loan_amount_inr,
        loan_type=application.loan_type,
    )


_APPLICATIONS = Columns[NewApplication](
    ("application_id", "uuid", lambda new: new.application.id),
    ("encrypted_pan", "bytea", lambda new: new.encrypted_pan),
    ("pan_number_hash", "text", lambda new: new.pan_number_hash),
    ("masked_pan", "text", lambda new: new.application.pan.masked),
    ("applicant_name", "text", lambda new: new.application.applicant_name),
    ("income", "text", lambda new: str(new.application.monthly_income_inr)),
    ("amount", "text", lambda new: str(new.application.loan_amount_inr)),
    ("loan_type", "text", lambda new: new.application.loan_type.value),
    ("request_id", "text", lambda new: new.request_id),
    ("key_hmac", "bytea", lambda new: new.key_hmac),
    ("request_hmac", "bytea", lambda new: new.request_hmac),
    ("event_id", "uuid", lambda new: event_id(ApplicationSubmitted.type, new.application.id)),
    ("body", "text", _body),
    ("traceparent", "text", lambda new: new.traceparent),
    ("claim_key", "text", lambda new: new.claim_key),
    ("client", "text", lambda new: new.client),
)

WRITE = f"""
    WITH input AS (
        SELECT {_APPLICATIONS.names} FROM {_APPLICATIONS.table("input", first=4)}
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
        SELECT {_APPLICATIONS.names} FROM input
        WHERE key_hmac IS NULL OR application_id = ANY (ARRAY (SELECT application_id FROM keys))
    ), claims AS (
        -- The 24-hour rule. Of equal PANs in one batch the first claims; the claim of a rejected application is free.
        -- A claim's key is the PAN's hash, or for each client but the local one a hash of client and PAN.
        INSERT INTO pan_claims AS held (pan_number_hash, application_id, expires_at)
        SELECT DISTINCT ON (claim_key) claim_key, application_id, now() + interval '24 hours'
        FROM eligible WHERE claim_key IS NOT NULL ORDER BY claim_key, application_id
        ON CONFLICT (pan_number_hash) DO UPDATE
        SET application_id = EXCLUDED.application_id, expires_at = EXCLUDED.expires_at
        WHERE held.expires_at <= now()
           OR held.application_id = EXCLUDED.application_id
           OR (SELECT status FROM applications WHERE id = held.application_id) = 'REJECTED'
        -- Of a claim that was taken over (xmax), the statement's snapshot still shows until when it was held.
        RETURNING application_id, held.xmax <> 0 AND coalesce((
            SELECT before.expires_at > now() FROM pan_claims AS before
            WHERE before.pan_number_hash = held.pan_number_hash
        ), false) AS is_repeat
    ), accepted AS (
        INSERT INTO applications (
            id, pan_number_encrypted, pan_number_hash, pan_number_masked, applicant_name,
            monthly_income_inr, loan_amount_inr, loan_type, client
        )
        SELECT application_id, encrypted_pan, pan_number_hash, masked_pan, applicant_name,
               income::numeric, amount::numeric, loan_type, client
        FROM eligible WHERE claim_key IS NULL OR application_id = ANY (ARRAY (SELECT application_id FROM claims))
        ON CONFLICT (id) DO NOTHING
        RETURNING id, created_at
    ), recorded AS (
        INSERT INTO audit_log (application_id, service, action, request_id, client)
        SELECT application_id, $1, 'WRITE', request_id, client
        FROM input WHERE application_id = ANY (ARRAY (SELECT id FROM accepted))
    ), appended AS (
        INSERT INTO outbox_events (
            topic, event_type, event_id, application_id, payload, correlation_id, traceparent
        )
        SELECT $2, $3, event_id, application_id, {with_time("body", ApplicationSubmitted.time_field)},
               request_id, traceparent
        FROM input WHERE application_id = ANY (ARRAY (SELECT id FROM accepted))
    )
    SELECT id, created_at, id = ANY (ARRAY (SELECT application_id FROM claims WHERE is_repeat)) FROM accepted
"""


async def write(connection: Connection, batch: Sequence[NewApplication], service: str) -> dict[UUID, Written]:
    """Write what may be accepted of `batch`, all of it in the transaction at hand; returns what was, by its id.

    An application that is missing from the answer lost its key or its PAN to another. No two rows have the same key.
    """
    rows = await connection.fetch(
        WRITE,
        service,
        topic_of(ApplicationSubmitted.type),
        ApplicationSubmitted.type.value,
        *_APPLICATIONS.arrays(batch),
    )
    return {row[0]: Written(row[1], row[2]) for row in rows}


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


async def holders(connection: Connection, claim_keys: Sequence[str]) -> dict[str, Holder]:
    """The applications that have these PANs, by the keys of their claims."""
    rows = await connection.fetch(
        """
        SELECT held.pan_number_hash, held.application_id, application.created_at
        FROM pan_claims AS held
        CROSS JOIN LATERAL (SELECT created_at FROM applications WHERE id = held.application_id LIMIT 1) AS application
        WHERE held.pan_number_hash = ANY ($1::text[])
        """,
        claim_keys,
    )
    return {row[0]: Holder(*row[1:]) for row in rows}


async def accepted_among(connection: Connection, ids: Sequence[UUID]) -> set[UUID]:
    """Which of these applications are there."""
    rows = await connection.fetch("SELECT id FROM applications WHERE id = ANY ($1::uuid[])", ids)
    return {row[0] for row in rows}


async def end_backend(connection: Connection, pid: int, application_name: str) -> None:
    """End the backend of a connection that was lost, if it still is that one and not a later one with its number."""
    await connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = $1 AND application_name = $2",
        pid,
        application_name,
    )


async def current_status(connection: Connection, application_id: UUID, client: str) -> CurrentStatus | None:
    """Where one application of a client stands; None when he has none of this id, though another may."""
    row = await connection.fetchrow(
        f"""
        SELECT {_REVIEWED}, status, cibil_score, pan_number_masked, created_at, updated_at
        FROM applications AS application {_WITH_REVIEW} WHERE id = $1 AND client = $2
        """,
        application_id,
        client,
    )
    return None if row is None else CurrentStatus(_reviewed(row), *row[4:])


async def stored_decision(connection: Connection, application_id: UUID, client: str) -> StoredDecision | None:
    """How one application of a client was decided; None when he has none of this id, though another may."""
    row = await connection.fetchrow(
        f"""
        SELECT {_REVIEWED}, status, cibil_score, monthly_income_inr, loan_amount_inr, loan_type,
               decision_rule, decision_measures, policy_version, policy_hash, updated_at,
               (SELECT age_seconds FROM reused_reports WHERE application_id = id)
        FROM applications AS application {_WITH_REVIEW} WHERE id = $1 AND client = $2
        """,
        application_id,
        client,
    )
    return None if row is None else StoredDecision(_reviewed(row), *row[4:])


_REVIEWED = "review.outcome, review.reason, review.decided_at, review.opened_at"
_WITH_REVIEW = """
    LEFT JOIN LATERAL (
        SELECT outcome, reason, decided_at, opened_at FROM review_cases
        WHERE application_id = application.id AND outcome IS NOT NULL LIMIT 1
    ) AS review ON true
"""


def _reviewed(row: asyncpg.Record) -> Reviewed | None:
    return None if row[0] is None else Reviewed(*row[:4])
