"""The SQL of clients and their secrets.

Invariant: a client has two secrets at most that live or will; the database's clock says which do.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

from asyncpg import UniqueViolationError

from prequal.postgres.connections import Connection


@dataclass(frozen=True, slots=True)
class ClientRow:
    """A client as it is stored."""

    id: str
    name: str
    scopes: Sequence[str]
    sandbox: bool
    requests_per_second: int
    created_at: datetime
    revoked_at: datetime | None
    issuer: str | None
    subject: str | None
    """How tokens of the issuer name it; None, as `issuer`, when they do not."""


@dataclass(frozen=True, slots=True)
class SecretRow:
    """A secret as it is stored, without its hash; without `expires_at` it never expires."""

    client: str
    slot: int
    created_at: datetime
    not_before: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    is_live: bool
    """Not revoked and not expired; it may still begin later."""


_CLIENT = "id, name, scopes, sandbox, requests_per_second, created_at, revoked_at, issuer, subject"


async def insert_client(
    connection: Connection, client_id: str, name: str, scopes: Sequence[str], sandbox: bool, rate: int
) -> bool:
    """Whether the client was added; it was not when there is one of this name."""
    done = await connection.execute(
        """
        INSERT INTO api_clients (id, name, scopes, sandbox, requests_per_second) VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (name) DO NOTHING
        """,
        client_id,
        name,
        scopes,
        sandbox,
        rate,
    )
    return done == "INSERT 0 1"


async def put_secret(
    connection: Connection,
    client: str,
    slot: int,
    secret_hmac: bytes,
    hash_key: bytes,
    not_before: datetime,
    expires_at: datetime | None,
) -> None:
    """Write a secret, hashed under the key with the id `hash_key`, in place of a dead one of the same slot."""
    await connection.execute(
        """
        INSERT INTO api_client_secrets (client, slot, secret_hmac, hash_key, not_before, expires_at)
        VALUES ($1, $2, $3, $4, $5, $6)
        ON CONFLICT (client, slot) DO UPDATE
        SET secret_hmac = EXCLUDED.secret_hmac,
            hash_key = EXCLUDED.hash_key,
            created_at = EXCLUDED.created_at,
            not_before = EXCLUDED.not_before,
            expires_at = EXCLUDED.expires_at,
            revoked_at = NULL,
            last_used_at = NULL
        """,
        client,
        slot,
        secret_hmac,
        hash_key,
        not_before,
        expires_at,
    )


async def locked_client(connection: Connection, id_or_name: str) -> ClientRow | None:
    """The client of this id or name, its id first, locked until the transaction ends."""
    row = await connection.fetchrow(
        f"""
        SELECT {_CLIENT} FROM api_clients
        WHERE id = $1 OR name = $1 ORDER BY id = $1 DESC LIMIT 1
        FOR UPDATE
        """,
        id_or_name,
    )
    return None if row is None else ClientRow(*row)


async def clients_after(connection: Connection, client: str, most: int) -> list[ClientRow]:
    """So many clients whose names follow that of a client, by its id, in their order; the first ones for no client."""
    rows = await connection.fetch(
        f"""
        SELECT {_CLIENT} FROM api_clients
        WHERE $1 = '' OR name > (SELECT name FROM api_clients WHERE id = $1) ORDER BY name LIMIT $2
        """,
        client,
        most,
    )
    return [ClientRow(*row) for row in rows]


async def secrets_of(connection: Connection, clients: Sequence[str]) -> list[SecretRow]:
    """The secrets of these clients, of each the older first."""
    rows = await connection.fetch(
        """
        SELECT client, slot, created_at, not_before, expires_at, revoked_at, last_used_at,
               revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())
        FROM api_client_secrets WHERE client = ANY ($1::text[]) ORDER BY client, created_at, slot
        """,
        clients,
    )
    return [SecretRow(*row) for row in rows]


async def end_secret(connection: Connection, client: str, slot: int, after: timedelta) -> None:
    """Let a secret live no longer than `after` from now; none of it is left if that is nothing."""
    await connection.execute(
        """
        UPDATE api_client_secrets
        SET expires_at = least(expires_at, now() + $3),
            revoked_at = CASE WHEN $3 <= interval '0' THEN now() END
        WHERE client = $1 AND slot = $2
        """,
        client,
        slot,
        after,
    )


async def set_rate(connection: Connection, client: str, rate: int) -> None:
    """Let a client send so many requests a second to each API process."""
    await connection.execute("UPDATE api_clients SET requests_per_second = $2 WHERE id = $1", client, rate)


async def set_identity(connection: Connection, client: str, issuer: str | None, subject: str | None) -> bool:
    """Know a client by these claims of an issuer, or by none; not when they are another living client's."""
    try:
        async with connection.transaction():
            await connection.execute(
                "UPDATE api_clients SET issuer = $2, subject = $3 WHERE id = $1", client, issuer, subject
            )
    except UniqueViolationError:
        return False
    return True


async def revoke_client(connection: Connection, client: str) -> None:
    """End a client, with all its secrets, for good."""
    await connection.execute("UPDATE api_clients SET revoked_at = now() WHERE id = $1", client)


@dataclass(frozen=True, slots=True)
class LivingSecret:
    """What recognises a client: a secret that is neither revoked nor expired; times are seconds since 1970."""

    client: str
    scopes: Sequence[str]
    sandbox: bool
    requests_per_second: int
    slot: int
    secret_hmac: bytes
    not_before: float
    expires_at: float


async def living_secrets(connection: Connection) -> tuple[float, list[LivingSecret]]:
    """The database's time in seconds since 1970, and every secret of a client that is not revoked."""
    rows = await connection.fetch(
        """
        SELECT extract(epoch FROM now())::float8, client.id, client.scopes, client.sandbox,
               client.requests_per_second, secret.slot, secret.secret_hmac,
               extract(epoch FROM secret.not_before)::float8,
               coalesce(extract(epoch FROM secret.expires_at)::float8, 'infinity')
        FROM (SELECT) AS always
        LEFT JOIN (
            api_clients AS client
            JOIN api_client_secrets AS secret
              ON secret.client = client.id AND secret.revoked_at IS NULL
             AND (secret.expires_at IS NULL OR secret.expires_at > now())
        ) ON client.revoked_at IS NULL
        """
    )
    return rows[0][0], [LivingSecret(*row[1:]) for row in rows if row[1] is not None]


Identified: TypeAlias = tuple[str, str, Sequence[str], bool, int]
"""The subject of a client at an issuer, its id and scopes, whether it is of the sandbox, and its rate."""


async def identified_clients(connection: Connection, issuer: str) -> list[Identified]:
    """The clients that this issuer's tokens name, without those that are revoked."""
    rows = await connection.fetch(
        """
        SELECT subject, id, scopes, sandbox, requests_per_second FROM api_clients
        WHERE issuer = $1 AND revoked_at IS NULL
        """,
        issuer,
    )
    return [tuple(row) for row in rows]


async def write_uses(connection: Connection, used: Sequence[tuple[str, int]]) -> None:
    """Write that these secrets, of clients and slots, were used now; those that another process writes are left out."""
    await connection.execute(
        """
        UPDATE api_client_secrets AS secret SET last_used_at = now()
        FROM (
            SELECT known.client, known.slot
            FROM unnest($1::text[], $2::smallint[]) AS input (client, slot)
            JOIN api_client_secrets AS known ON known.client = input.client AND known.slot = input.slot
            WHERE known.last_used_at IS NULL OR known.last_used_at < now() - interval '1 minute'
            FOR NO KEY UPDATE OF known SKIP LOCKED
        ) AS used
        WHERE secret.client = used.client AND secret.slot = used.slot
        """,
        [client for client, _ in used],
        [slot for _, slot in used],
    )
