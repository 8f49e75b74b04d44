"""Keys on a running system: which there are, and the steps by which another one becomes the active one.

Invariant: a key is known to the database, then readable by every process, and only then does it encrypt.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from time import sleep
from typing import Final

from prequal.core.blocking import blocking
from prequal.core.errors import Misconfigured
from prequal.core.keys import KeyCheck, key_id
from prequal.core.settings import RingSettings
from prequal.postgres import key_checks, key_uses
from prequal.postgres.connections import Connection
from prequal.record.acts import Actor, record_act
from prequal.schema.version import connected_at_revision
from prequal.security import key_file, key_providers
from prequal.security.data_key import DataKey
from prequal.security.key_file import RingKeys, WrappedKey
from prequal.security.pan_encryption import KeyRing

PURPOSE: Final = "ENCRYPTION_KEY"
TAKEN_OVER_SECONDS: Final = 10.0
"""Twice the time within which every process has taken a changed ring over."""
COMMAND_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class ListedRingKey:
    """What may be shown of one key."""

    key_id: str
    state: str
    source: str | None
    """`environment`, `file`, or the key service that wrapped it; None for one that is not on this ring."""
    recorded_at: datetime | None
    first_used: datetime | None
    encryptions: int


def sources(settings: RingSettings) -> dict[bytes, str]:
    """The ids of the ring's keys, the active one first, with where each comes from. Raises as `KeyRing.of` does."""
    if settings.encryption_key is not None:
        return {check.key_id: "environment" for check in KeyRing.of(settings).checks}
    ring = key_file.read(Path(settings.encryption_key_file))
    active, decrypting = key_providers.unwrapped(ring, settings)
    pairs = zip((active, *decrypting), ring.every, strict=True)
    return {key_id(key): each.source if isinstance(each, WrappedKey) else "file" for key, each in pairs}


@blocking
async def list_keys(database_url: str, ring: Mapping[bytes, str]) -> list[ListedRingKey]:
    """Every key that is on the ring (`sources`), known to the database, or has encrypted something.

    Raises:
        Misconfigured: the database is not migrated.
        Transient: the database does not answer.
    """
    async with connected_at_revision(database_url, "keys", {}, COMMAND_SECONDS) as connection:
        known = await key_checks.recorded(connection, PURPOSE)
        uses = await key_uses.by_key(connection)
    recorded = {id_: key.recorded_at for id_, key in known.items()}
    return [_listed(id_, ring, recorded, uses) for id_ in dict.fromkeys((*ring, *recorded, *uses))]


@blocking
async def make_known(database_url: str, actor: Actor, purpose: str, key: bytes) -> None:
    """Record a key's check value, so that processes may start with it, and that `actor` did so.

    Raises:
        Misconfigured: the database is not migrated.
        Transient: the database does not answer.
    """
    check = KeyCheck.of(key)
    async with _transaction(database_url) as connection:
        await key_checks.record(connection, purpose, check)
        await record_act(connection, actor, "key_made_known", "key", check.key_id.hex(), {"purpose": purpose})


@blocking
async def make_unknown(database_url: str, actor: Actor, key: bytes) -> None:
    """Forget an encryption key by its id: no process starts with it any more; and record that `actor` did so.

    Raises `Misconfigured` and `Transient` as `make_known` does.
    """
    async with _transaction(database_url) as connection:
        await key_checks.forget(connection, PURPOSE, key)
        await record_act(connection, actor, "key_retired", "key", key.hex(), {"purpose": PURPOSE})


def rotate_file(
    database_url: str, actor: Actor, path: Path, fresh: DataKey, progress: Callable[[str], None] = lambda _: None
) -> None:
    """Make `fresh` the active key of a ring file under processes that run.

    Blocks for `TAKEN_OVER_SECONDS`. It can be begun again after a failure: the ring is whole at any moment.

    Raises:
        Misconfigured: the file is no ring, or changed meanwhile; the database is not migrated.
        Transient: the database does not answer.
    """
    before = key_file.read(path)
    make_known(database_url, actor, PURPOSE, fresh.key)
    readable = RingKeys(before.active, (*before.decrypting, fresh.stored))
    key_file.write(path, readable)
    progress(f"key {key_id(fresh.key).hex()} decrypts; it becomes active in {TAKEN_OVER_SECONDS:g} s")
    sleep(TAKEN_OVER_SECONDS)
    if key_file.read(path) != readable:
        raise Misconfigured(
            f"The key ring {path} was changed meanwhile: look at `prequal keys list`, and rotate again."
        )
    key_file.write(path, RingKeys(fresh.stored, (before.active, *before.decrypting)))


@asynccontextmanager
async def _transaction(database_url: str) -> AsyncIterator[Connection]:
    async with connected_at_revision(database_url, "keys", {}, COMMAND_SECONDS) as connection, connection.transaction():
        yield connection


def _listed(
    id_: bytes, ring: Mapping[bytes, str], recorded: Mapping[bytes, datetime], uses: Mapping[bytes, key_uses.KeyUse]
) -> ListedRingKey:
    state = "not here" if id_ in recorded else "retired"
    if id_ in ring:
        state = key_file.ACTIVE if id_ == next(iter(ring)) else key_file.DECRYPTS
    use = uses.get(id_)
    return ListedRingKey(
        id_.hex(),
        state,
        ring.get(id_),
        recorded.get(id_),
        use.first_used if use else None,
        use.encryptions if use else 0,
    )
