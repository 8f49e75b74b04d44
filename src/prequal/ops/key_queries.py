"""The SQL of re-encryption and retirement.

Invariant: applications are walked along their key, a batch at a time; no statement waits for the whole table.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from prequal.domain.events import EventType
from prequal.postgres.columns import Columns
from prequal.postgres.connections import Connection
from prequal.postgres.undecided import UNDECIDED

SERVICE = "reencrypt"
OUTBOX_TABLES = ("outbox_events", "outbox_archive", "outbox_parked")
"""Those that hold events, with their encrypted PANs."""


@dataclass(frozen=True, slots=True)
class Stored:
    """An application's encrypted PAN."""

    application_id: UUID
    token: bytes


@dataclass(frozen=True, slots=True)
class Renewed:
    """An application's token, and the one that is to take its place."""

    application_id: UUID
    old: bytes
    new: bytes


async def tokens_after(connection: Connection, application_id: UUID, limit: int) -> list[Stored]:
    """The tokens of the next applications, by id."""
    rows = await connection.fetch(
        "SELECT id, pan_number_encrypted FROM applications WHERE id > $1 ORDER BY id LIMIT $2", application_id, limit
    )
    return [Stored(row[0], bytes(row[1])) for row in rows]


async def record_decryptions(connection: Connection, application_ids: Sequence[UUID]) -> None:
    """Record that the PANs of these applications are about to be decrypted: a commit of its own."""
    await connection.execute(
        "INSERT INTO audit_log (application_id, service, action) SELECT unnest($1::uuid[]), $2, 'READ'",
        application_ids,
        SERVICE,
    )


_RENEWED = Columns[Renewed](
    ("application_id", "uuid", lambda renewed: renewed.application_id),
    ("old", "bytea", lambda renewed: renewed.old),
    ("new", "bytea", lambda renewed: renewed.new),
)


async def renew(connection: Connection, renewed: Sequence[Renewed]) -> int:
    """Replace tokens that are still the old ones, and record it; returns how many were."""
    rows = await connection.fetch(
        f"""
        WITH input AS (
            SELECT {_RENEWED.names} FROM {_RENEWED.table("input", first=2)}
        ), locked AS (
            -- In the order in which decision-service locks them: no deadlock.
            SELECT applications.id, input.new FROM applications JOIN input ON input.application_id = applications.id
            WHERE applications.pan_number_encrypted = input.old ORDER BY applications.id FOR UPDATE OF applications
        ), moved AS (
            UPDATE applications SET pan_number_encrypted = locked.new FROM locked WHERE applications.id = locked.id
            RETURNING applications.id
        ), recorded AS (
            INSERT INTO audit_log (application_id, service, action) SELECT id, $1, 'UPDATE' FROM moved
        )
        SELECT id FROM moved
        """,
        SERVICE,
        *_RENEWED.parameters(renewed),
    )
    return len(rows)


async def applications_under(connection: Connection, key_id: bytes, after: UUID, limit: int) -> tuple[UUID | None, int]:
    """Of the next applications by id: the last one's, and how many tokens are of that key; None at the end."""
    row = await connection.fetchrow(
        """
        SELECT (array_agg(id ORDER BY id DESC))[1], count(*) FILTER (WHERE token_key = $1)
        FROM (
            SELECT id, substring(pan_number_encrypted FROM 2 FOR 8) AS token_key
            FROM applications WHERE id > $2 ORDER BY id LIMIT $3
        ) AS next
        """,
        key_id,
        after,
        limit,
    )
    assert row is not None
    return row[0], row[1]


async def events_under(connection: Connection, table: str, text: str) -> int:
    """How many events of one of the outbox's tables hold this beginning of a token, as base64."""
    count: int = await connection.fetchval(f"SELECT count(*) FROM {table} WHERE position($1 IN payload) > 0", text)
    return count


async def needed_without(
    connection: Connection, hash_keys: Sequence[bytes], written_after: datetime | None = None
) -> dict[str, int]:
    """What lives and none of these hash keys, by their ids, finds: how many by table; tables without any are left out.

    With `written_after`, only what is found by age is looked at: claims and idempotency keys of that time and later.
    """
    found = {
        table: await connection.fetchval(
            f"""
            SELECT count(*) FROM (
                SELECT FROM {table} WHERE expires_at > greatest(now(), $2::timestamptz + interval '24 hours')
                GROUP BY application_id HAVING NOT coalesce(bool_or(hash_key = ANY ($1::bytea[])), false)
            ) AS needed
            """,
            hash_keys,
            written_after,
        )
        for table in ("pan_claims", "idempotency_keys")
    }
    found["api_client_secrets"] = await connection.fetchval(
        """
        SELECT count(*) FROM api_client_secrets AS secret JOIN api_clients AS client ON client.id = secret.client
        WHERE client.revoked_at IS NULL AND secret.revoked_at IS NULL
          AND (secret.expires_at IS NULL OR secret.expires_at > now())
          AND NOT coalesce(secret.hash_key = ANY ($1::bytea[]), false)
        """,
        hash_keys,
    )
    return {table: count for table, count in found.items() if count}


async def undecided_reports(connection: Connection, written_after: datetime | None = None) -> list[str]:
    """The reports of undecided applications, each as the event's JSON: while one is undecided, they are all here.

    With `written_after`, only those of that time and later.
    """
    of_table = """
        SELECT payload FROM {} WHERE application_id IN (SELECT id FROM undecided) AND event_type = $1
                                 AND created_at >= coalesce($2::timestamptz, '-infinity')
    """
    rows = await connection.fetch(
        f"""
        WITH undecided AS MATERIALIZED (SELECT id FROM {UNDECIDED} AS application)
        {" UNION ALL ".join(map(of_table.format, OUTBOX_TABLES))}
        """,
        EventType.CREDIT_REPORT_GENERATED.value,
        written_after,
    )
    return [row[0] for row in rows]


async def blocks_by_key(connection: Connection, chained_after: datetime | None = None) -> dict[bytes, int]:
    """How many blocks of the record each key chains, by key id; with `chained_after`, only of those made since."""
    rows = await connection.fetch(
        """
        SELECT key_id, count(*) FROM record_blocks
        WHERE number > coalesce((
            SELECT number FROM record_blocks WHERE chained_at < $1::timestamptz ORDER BY number DESC LIMIT 1
        ), 0)
        GROUP BY key_id
        """,
        chained_after,
    )
    return {bytes(row[0]): row[1] for row in rows}


async def key_of_seal(connection: Connection) -> bytes | None:
    """The id of the key that the newest seal of the record is under; None without a seal."""
    found = await connection.fetchval("SELECT key_id FROM record_seals ORDER BY block DESC LIMIT 1")
    return None if found is None else bytes(found)
