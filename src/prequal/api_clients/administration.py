"""Clients are added, listed, given a second secret, and revoked; for the command line and `prequal up`.

Invariant: a token is returned once, to the caller that had it made, and cannot be read again.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, astuple, dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final, TypeAlias

from prequal.api_clients import queries, tokens
from prequal.api_clients.queries import ClientRow, SecretRow
from prequal.core.blocking import blocking
from prequal.core.errors import UsageError
from prequal.domain.api_client import RATE
from prequal.domain.pan_detection import looks_like_pan
from prequal.issuers.identity import Identity
from prequal.postgres import paging
from prequal.postgres.connections import Connection
from prequal.postgres.key_checks import HASH_KEYS_LOCK, HASH_PURPOSE, recorded_key
from prequal.record.acts import Actor, Detail, record_act
from prequal.schema.version import connected_at_revision
from prequal.security.pan_encryption import PanHasher

NAME_CHARACTERS_MAX: Final = 100
SLOTS: Final = (1, 2)

MomentFromNow: TypeAlias = datetime | timedelta
"""A point in time, or a duration from now."""
Listed: TypeAlias = tuple[ClientRow, list[SecretRow]]
"""A client with its secrets, the older first."""


@dataclass(frozen=True, slots=True)
class Validity:
    """From when to when a secret is taken: by default from now on, without an end."""

    not_before: MomentFromNow | None = None
    expires: MomentFromNow | None = None


@dataclass(frozen=True, slots=True)
class _New:
    """What a client is to be."""

    name: str
    scopes: Sequence[str]
    sandbox: bool
    rate: int


@dataclass(frozen=True, slots=True)
class Issued:
    """A token as it was made: this is the one time that it is shown."""

    client: ClientRow
    slot: int
    token: str


@blocking
async def add(
    database_url: str,
    hasher: PanHasher,
    actor: Actor,
    name: str,
    scopes: Sequence[str],
    *,
    sandbox: bool,
    rate: int = RATE,
    validity: Validity = Validity(),
) -> Issued:
    """Add a client with its first secret.

    Raises:
        UsageError: the name does not fit or is taken, or the secret would never live.
        Misconfigured: the hash key is not the database's, or the database is not migrated.
        Transient: the database does not answer.
    """
    _require_name(name)
    new = _New(name, scopes, sandbox, rate)
    async with _transaction(database_url, hasher) as connection:
        client_id = await _insert(connection, new)
        token = await _issue(connection, hasher, client_id, SLOTS[0], validity)
        await record_act(connection, actor, "client_added", "client", client_id, _details(new))
        return Issued(await _found(connection, client_id), SLOTS[0], token)


@blocking
async def list_all(database_url: str) -> list[Listed]:
    """Every client with its secrets, by name. Raises `Misconfigured` and `Transient` as `add` does."""
    async with _transaction(database_url) as connection:
        return await paging.every(partial(list_after, connection), lambda each: each[0].id)


async def list_after(connection: Connection, client: str, most: int) -> list[Listed]:
    """So many clients, in the order of their names, after the one of this id; the first ones for an empty id."""
    return await _with_secrets(connection, await queries.clients_after(connection, client, most))


@blocking
async def rotate(
    database_url: str,
    hasher: PanHasher,
    actor: Actor,
    id_or_name: str,
    overlap: timedelta,
    validity: Validity = Validity(),
) -> Issued:
    """Give a client, by id or name, a new secret; the one it has lives on for `overlap` at most.

    Raises:
        UsageError: there is no such client, it is revoked, or two secrets of it live.
        Misconfigured, Transient: as for `add`.
    """
    async with _transaction(database_url, hasher) as connection:
        client = await _living(connection, id_or_name)
        living = [each.slot for each in await queries.secrets_of(connection, [client.id]) if each.is_live]
        free = [slot for slot in SLOTS if slot not in living]
        if not free:
            raise UsageError(
                f"Two secrets of {client.id} live: end one first, with `prequal clients revoke {client.id} --secret 1` "
                f"or 2; `prequal clients list` says which is used."
            )
        for slot in living:
            await queries.end_secret(connection, client.id, slot, overlap)
        token = await _issue(connection, hasher, client.id, free[0], validity)
        await record_act(connection, actor, "client_rotated", "client", client.id, {"secret": free[0]})
        return Issued(client, free[0], token)


@blocking
async def revoke(database_url: str, actor: Actor, id_or_name: str, slot: int | None) -> ClientRow:
    """End one secret of a client, by id or name, or the client itself, for good; every API knows within 5 s.

    Raises:
        UsageError: there is no such client, or it has no such secret that lives.
        Misconfigured, Transient: as for `add`.
    """
    async with _transaction(database_url) as connection:
        client = await _living(connection, id_or_name)
        if slot is None:
            await queries.revoke_client(connection, client.id)
            await record_act(connection, actor, "client_revoked", "client", client.id)
            return client
        if slot not in [each.slot for each in await queries.secrets_of(connection, [client.id]) if each.is_live]:
            raise UsageError(f"No secret {slot} of {client.id} lives: see `prequal clients list`.")
        await queries.end_secret(connection, client.id, slot, timedelta(0))
        await record_act(connection, actor, "client_secret_revoked", "client", client.id, {"secret": slot})
        return client


@blocking
async def change_rate(database_url: str, actor: Actor, id_or_name: str, rate: int) -> ClientRow:
    """Let a client, by id or name, send `rate` requests a second to each API process; it holds within 5 s.

    Raises:
        UsageError: there is no such client, or it is revoked.
        Misconfigured, Transient: as for `add`.
    """
    async with _transaction(database_url) as connection:
        client = await _living(connection, id_or_name)
        await queries.set_rate(connection, client.id, rate)
        details: dict[str, Detail] = {"rate": rate, "before": client.requests_per_second}
        await record_act(connection, actor, "client_rate_changed", "client", client.id, details)
        return client


@blocking
async def add_identified(
    database_url: str,
    actor: Actor,
    name: str,
    scopes: Sequence[str],
    identity: Identity,
    *,
    sandbox: bool,
    rate: int = RATE,
) -> ClientRow:
    """Add a client that has no secret of ours: tokens of its issuer name it.

    Raises:
        UsageError: the name does not fit or is taken, or the identity does not fit or is another client's.
        Misconfigured, Transient: as for `add`.
    """
    _require_name(name)
    new = _New(name, scopes, sandbox, rate)
    async with _transaction(database_url) as connection:
        client_id = await _insert(connection, new)
        await _set_identity(connection, client_id, identity)
        await record_act(connection, actor, "client_added", "client", client_id, _details(new) | asdict(identity))
        return await _found(connection, client_id)


@blocking
async def identify(database_url: str, actor: Actor, id_or_name: str, identity: Identity | None) -> ClientRow:
    """Let tokens of an issuer name a client, by id or name, or no longer; every API knows within 5 s.

    Raises:
        UsageError: there is no such client, it is revoked, or the identity does not fit or is another client's.
        Misconfigured, Transient: as for `add`.
    """
    async with _transaction(database_url) as connection:
        client = await _living(connection, id_or_name)
        if identity is None and client.issuer is None:
            raise UsageError(f"No issuer's tokens name {client.id}.")
        await _set_identity(connection, client.id, identity)
        details: dict[str, Detail] = asdict(identity) if identity else {"issuer": None, "subject": None}
        await record_act(connection, actor, "client_identity_changed", "client", client.id, details)
        return await _found(connection, client.id)


async def _insert(connection: Connection, new: _New) -> str:
    client_id = tokens.new_id()
    if not await queries.insert_client(connection, client_id, *astuple(new)):
        raise UsageError("There is a client of this name: `prequal clients rotate` gives it a new secret.")
    return client_id


def _details(new: _New) -> dict[str, Detail]:
    return asdict(new) | {"scopes": " ".join(new.scopes)}


async def _set_identity(connection: Connection, client: str, identity: Identity | None) -> None:
    claims = (None, None) if identity is None else (identity.issuer, identity.subject)
    if not await queries.set_identity(connection, client, *claims):
        raise UsageError("This subject of the issuer is another client's: see `prequal clients list`.")


async def _with_secrets(connection: Connection, clients: Sequence[ClientRow]) -> list[Listed]:
    secrets = await queries.secrets_of(connection, [client.id for client in clients])
    return [(client, [each for each in secrets if each.client == client.id]) for client in clients]


async def _issue(connection: Connection, hasher: PanHasher, client: str, slot: int, validity: Validity) -> str:
    now: datetime = await connection.fetchval("SELECT now()")
    not_before, expires_at = _at(validity.not_before, now) or now, _at(validity.expires, now)
    if expires_at is not None and expires_at <= max(now, not_before):
        raise UsageError("The expiry must lie in the future, and after the moment from which it is valid.")
    token = tokens.new_token(client)
    fingerprint = tokens.fingerprint(hasher, token.encode())
    await queries.put_secret(connection, client, slot, fingerprint, hasher.key_id, not_before, expires_at)
    return token


async def _living(connection: Connection, id_or_name: str) -> ClientRow:
    client = await _found(connection, id_or_name)
    if client.revoked_at is not None:
        raise UsageError(f"The client {client.id} is revoked, for good: add a new one.")
    return client


async def _found(connection: Connection, id_or_name: str) -> ClientRow:
    client = await queries.locked_client(connection, id_or_name)
    if client is None:
        raise UsageError("There is no client of this id or name: see `prequal clients list`.")
    return client


@asynccontextmanager
async def _transaction(database_url: str, hasher: PanHasher | None = None) -> AsyncIterator[Connection]:
    """A transaction on a database of this code's revision, which knows the hash key, if there is one, to its end."""
    async with connected_at_revision(database_url, "clients") as connection, connection.transaction():
        if hasher is not None:
            await connection.execute("SELECT pg_advisory_xact_lock_shared($1)", HASH_KEYS_LOCK)
            await recorded_key(HASH_PURPOSE, hasher.check)(connection)
        yield connection


def _require_name(name: str) -> None:
    if not (0 < len(name) <= NAME_CHARACTERS_MAX and name.isprintable() and name == name.strip()):
        raise UsageError(f"NAME must be 1 to {NAME_CHARACTERS_MAX} printable characters, without space at its ends.")
    if looks_like_pan(name):
        raise UsageError("NAME holds something that looks like a PAN: choose another.")


def _at(moment: MomentFromNow | None, now: datetime) -> datetime | None:
    return now + moment if isinstance(moment, timedelta) else moment
