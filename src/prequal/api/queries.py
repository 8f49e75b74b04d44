"""The SQL of the API: the one write that many requests share, and what became of the refused.

Invariant: only the database says duplicate, by its own clock, in one statement.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from prequal.core.errors import Transient
from prequal.core.topology import topic_of
from prequal.domain.application import LoanApplication
from prequal.messaging.event_ids import event_id
from prequal.messaging.events import ApplicationSubmitted
from prequal.messaging.outbox import NO_ROW, ROW, OutboxRow, with_time
from prequal.postgres.columns import Columns
from prequal.postgres.connections import Connection
from prequal.postgres.undecided import LIST_OLD_IDS
from prequal.security.pan_encryption import key_of


class Fingerprints(NamedTuple):
    """An application's under one hash key; those of key and request are absent without an `Idempotency-Key`.

    One without a `claim_key` is the sandbox's: the 24-hour rule does not hold for it. Both keys are the client's own.
    """

    hash_key_id: bytes
    key_hmac: bytes | None
    request_hmac: bytes | None
    claim_key: str | None


@dataclass(frozen=True, slots=True)
class NewApplication:
    """A valid application, encrypted and ready to be written; its fingerprints under the active hash key come first."""

    application: LoanApplication
    encrypted_pan: bytes
    pan_number_hash: str
    request_id: str
    fingerprints: tuple[Fingerprints, ...]
    client: str
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """An application that is there now; a repeat took over the claim of a rejected one, within its 24 hours."""

    created_at: datetime
    is_repeat: bool
    event: OutboxRow


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


def _body(new: NewApplication) -> str:
    application = new.application
    return ApplicationSubmitted.body(
        application.id,
        pan_number_encrypted=new.encrypted_pan,
        pan_number_hash=new.pan_number_hash,
        monthly_income_inr=application.monthly_income_inr,
        loan_amount_inr=application.loan_amount_inr,
        loan_type=application.loan_type,
        client=new.client,
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
    ("key_hmac", "bytea", lambda new: new.fingerprints[0].key_hmac),
    ("request_hmac", "bytea", lambda new: new.fingerprints[0].request_hmac),
    ("event_id", "uuid", lambda new: event_id(ApplicationSubmitted.type, new.application.id)),
    ("body", "text", _body),
    ("traceparent", "text", lambda new: new.traceparent),
    ("claim_key", "text", lambda new: new.fingerprints[0].claim_key),
    ("client", "text", lambda new: new.client),
)

_OTHER_FINGERPRINTS = Columns[tuple[NewApplication, Fingerprints]](
    ("application_id", "uuid", lambda of: of[0].application.id),
    ("request_id", "text", lambda of: of[0].request_id),
    ("key_hmac", "bytea", lambda of: of[1].key_hmac),
    ("request_hmac", "bytea", lambda of: of[1].request_hmac),
    ("claim_key", "text", lambda of: of[1].claim_key),
    ("hash_key", "bytea", lambda of: of[1].hash_key_id),
)

_FIRST = 6
"""The first parameter of the rows."""


_WRITE = f"""
    WITH fit AS MATERIALIZED (
        -- Each write has a name under the oldest hash key that is not retired, so any two have a key in common.
        SELECT NOT EXISTS (
            SELECT FROM (
                SELECT key_id FROM key_checks WHERE purpose = 'PAN_HASH_KEY' AND retired_at IS NULL
                ORDER BY created_at, key_id LIMIT 1
            ) AS oldest WHERE oldest.key_id <> ALL ($4::bytea[])
        ) AS holds, coalesce((
            SELECT array_agg(key_id) FROM key_checks WHERE purpose = 'ENCRYPTION_KEY' AND retired_at IS NULL
        ) @> $5::bytea[], true) AS encrypts
    ), input AS (
        SELECT {_APPLICATIONS.names}, ($4::bytea[])[1] AS hash_key
        FROM {_APPLICATIONS.table("input", first=_FIRST)} WHERE (SELECT holds AND encrypts FROM fit)
    ), {{others}} keys AS (
        -- Keys before claims, each in sorted order: two writers that meet wait for each other in one direction only.
        INSERT INTO idempotency_keys AS known (key_hmac, request_hmac, application_id, request_id, expires_at, hash_key)
        SELECT key_hmac, request_hmac, application_id, request_id, now() + interval '24 hours', hash_key
        FROM {{names}} WHERE key_hmac IS NOT NULL ORDER BY key_hmac
        ON CONFLICT (key_hmac) DO UPDATE
        SET request_hmac = EXCLUDED.request_hmac,
            application_id = EXCLUDED.application_id,
            request_id = EXCLUDED.request_id,
            expires_at = EXCLUDED.expires_at,
            hash_key = EXCLUDED.hash_key
        WHERE known.expires_at <= now()
        RETURNING application_id
    ), eligible AS (
        SELECT {_APPLICATIONS.names}, hash_key FROM input
        WHERE key_hmac IS NULL OR application_id = ANY (ARRAY (SELECT application_id FROM keys {{every}}))
    ), claims AS (
        -- The 24-hour rule. Of equal PANs in one batch the first claims; the claim of a rejected application is free.
        -- A claim's key is the PAN's hash, or for each client but the local one a hash of client and PAN.
        INSERT INTO pan_claims AS claim (pan_number_hash, application_id, expires_at, hash_key)
        SELECT DISTINCT ON (claim_key) claim_key, application_id, now() + interval '24 hours', hash_key
        FROM {{claimants}} WHERE claim_key IS NOT NULL ORDER BY claim_key, application_id
        ON CONFLICT (pan_number_hash) DO UPDATE
        SET application_id = EXCLUDED.application_id, expires_at = EXCLUDED.expires_at, hash_key = EXCLUDED.hash_key
        WHERE claim.expires_at <= now()
           OR claim.application_id = EXCLUDED.application_id
           OR (SELECT status FROM applications WHERE id = claim.application_id) = 'REJECTED'
        -- Of a claim that was taken over (xmax), the statement's snapshot still shows until when it ran.
        RETURNING application_id, claim.xmax <> 0 AND coalesce((
            SELECT before.expires_at > now() FROM pan_claims AS before
            WHERE before.pan_number_hash = claim.pan_number_hash
        ), false) AS is_repeat
    ), accepted AS (
        INSERT INTO applications (
            id, pan_number_encrypted, pan_number_hash, pan_number_masked, applicant_name,
            monthly_income_inr, loan_amount_inr, loan_type, client
        )
        SELECT application_id, encrypted_pan, pan_number_hash, masked_pan, applicant_name,
               income::numeric, amount::numeric, loan_type, client
        FROM eligible
        WHERE claim_key IS NULL OR application_id = ANY (ARRAY (SELECT application_id FROM claims {{every}}))
        ON CONFLICT (id) DO NOTHING
        RETURNING id
    ), listed AS (
        {LIST_OLD_IDS}
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
        RETURNING {ROW}, created_at
    )
    -- An event is as old as its application: both have the time of the transaction.
    SELECT created_at, application_id = ANY (ARRAY (SELECT application_id FROM claims WHERE is_repeat)), {ROW}
    FROM appended
    UNION ALL SELECT NULL, encrypts, {NO_ROW} FROM fit
    WHERE NOT (holds AND encrypts)
"""
"""SQL: write what may be accepted. An application wins all its names or is not taken: `names` holds them, and `every`
leaves out the applications that lost one."""

WRITE = _WRITE.format(names="input", every="", others="", claimants="eligible")

WRITE_UNDER_SEVERAL_KEYS = _WRITE.format(
    names="names",
    every="GROUP BY application_id HAVING count(*) = cardinality($4)",
    others=f"""names AS (
        SELECT application_id, request_id, key_hmac, request_hmac, claim_key, hash_key FROM input
        UNION ALL
        SELECT {_OTHER_FINGERPRINTS.names} FROM {_OTHER_FINGERPRINTS.table("other", first=_FIRST + len(_APPLICATIONS))}
        WHERE (SELECT holds AND encrypts FROM fit)
    ),""",
    claimants="""(
            SELECT claim_key, application_id, hash_key FROM names
            WHERE application_id = ANY (ARRAY (SELECT application_id FROM eligible))
        ) AS won""",
)


async def write(connection: Connection, batch: Sequence[NewApplication], service: str) -> dict[UUID, Written]:
    """Write what may be accepted of `batch`, all of it in the transaction at hand; returns what was, by its id.

    An application that is missing from the answer lost a key or its PAN to another. No two rows have the same key.

    Raises:
        Transient: every hash key of this process is retired, or a key that encrypted; nothing was written.
    """
    hash_keys = [each.hash_key_id for each in batch[0].fingerprints] if batch else []
    encryption_keys = sorted({key_of(new.encrypted_pan) for new in batch})
    others = [(new, each) for new in batch for each in new.fingerprints[1:]] if len(hash_keys) > 1 else []
    rows = await connection.fetch(
        WRITE_UNDER_SEVERAL_KEYS if others else WRITE,
        service,
        topic_of(ApplicationSubmitted.type),
        ApplicationSubmitted.type.value,
        hash_keys,
        encryption_keys,
        *_APPLICATIONS.parameters(batch),
        *(_OTHER_FINGERPRINTS.parameters(others) if others else ()),
    )
    if not batch:  # the statement is planned, and that is all
        return {}
    if any(row[0] is None for row in rows):
        name, keys = ("PAN_HASH_KEY", hash_keys[:1]) if rows[0][1] else ("ENCRYPTION_KEY", encryption_keys)
        ids = ", ".join(key.hex() for key in keys)
        raise Transient(f"{name} (id {ids}) is retired: restart this process with the new one")
    written = [Written(row[0], row[1], OutboxRow._make(row[2:])) for row in rows]
    return {each.event.application_id: each for each in written}


async def release_keys(connection: Connection, refused: Sequence[NewApplication]) -> None:
    """Forget the keys of applications that were refused after all: a refused request does not use its key up."""
    await connection.execute(
        "DELETE FROM idempotency_keys WHERE key_hmac = ANY ($1::bytea[]) AND application_id = ANY ($2::uuid[])",
        sorted(each.key_hmac for new in refused for each in new.fingerprints if each.key_hmac is not None),
        [new.application.id for new in refused],
    )


async def release_claims(connection: Connection, refused: Sequence[NewApplication]) -> None:
    """End what refused applications claimed under one hash key, while they lost under another."""
    await connection.execute(
        """
        UPDATE pan_claims SET expires_at = now()
        WHERE pan_number_hash = ANY ($1::text[]) AND application_id = ANY ($2::uuid[])
        """,
        sorted(each.claim_key for new in refused for each in new.fingerprints if each.claim_key is not None),
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
        SELECT claim.pan_number_hash, claim.application_id, application.created_at
        FROM pan_claims AS claim
        CROSS JOIN LATERAL (SELECT created_at FROM applications WHERE id = claim.application_id LIMIT 1) AS application
        WHERE claim.pan_number_hash = ANY ($1::text[])
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
