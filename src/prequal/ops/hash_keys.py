"""Hash keys on a running system: which there are, what needs each of them, how another is made known and one retired.

Invariant: a hash key is retired only when whatever is looked up, and lives, is found without it.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from prequal.core.blocking import blocking
from prequal.core.errors import Refused
from prequal.core.keys import KeyCheck
from prequal.ops.key_queries import needed_without
from prequal.ops.key_retirement import (
    COMMAND_SECONDS,
    SESSION,
    WRITE_SECONDS_MAX,
    ListedKey,
    listed,
    others_in_use,
    require_unneeded,
)
from prequal.postgres import key_checks
from prequal.postgres.connections import Connection
from prequal.postgres.key_checks import BRIEFLY, HASH_KEYS_LOCK, HASH_PURPOSE, KEY_CHECK_LOCK, RecordedKey
from prequal.record.acts import Actor, record_act
from prequal.schema.version import connected_at_revision

LIVING_MAX: Final = 2
"""So many keys may be in use at once: while one takes the other's place."""
_WAY_OUT: Final = (
    "Claims and idempotency keys end 24 hours after the last prequal-api knew it alone; `prequal clients rotate` "
    "replaces a secret."
)


@blocking
async def list_keys(database_url: str, checks: Sequence[KeyCheck]) -> list[ListedKey]:
    """Every hash key that the database knows, retired ones too; `checks` are of the keys here, the active one first.

    Raises:
        Misconfigured: the database is not migrated.
        Transient: the database does not answer.
    """
    here = [check.key_id for check in checks]
    async with connected_at_revision(database_url, "keys", SESSION, COMMAND_SECONDS) as connection:
        keys = await key_checks.recorded(connection, HASH_PURPOSE)
        return [
            listed(id_, key, here, "looked up", await _needed_by(connection, id_, keys)) for id_, key in keys.items()
        ]


@blocking
async def make_known(database_url: str, actor: Actor, key: bytes) -> None:
    """Record another key's check value, so that processes may start with it, and that `actor` did so.

    Raises:
        Refused: the database knows none yet, or two that are not retired.
        Misconfigured, Transient: as for `list_keys`.
    """
    async with connected_at_revision(database_url, "keys") as connection, connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", KEY_CHECK_LOCK)
        living = _living(await key_checks.recorded(connection, HASH_PURPOSE))
        if not living:
            raise Refused("The database knows no PAN_HASH_KEY yet: the first start of prequal-api makes its own known.")
        if len(living) >= LIVING_MAX:
            raise Refused(f"Key {living[0].hex()} is not retired yet: `prequal keys retire {living[0].hex()}` first.")
        check = KeyCheck.of(key)
        await key_checks.record(connection, HASH_PURPOSE, check)
        details = {"purpose": HASH_PURPOSE}
        await record_act(connection, actor, "key_made_known", "key", check.key_id.hex(), details)


@blocking
async def retire(database_url: str, actor: Actor, key_id: bytes) -> None:
    """Take a hash key out of use: no process writes or starts with it alone any more; and record that `actor` did so.

    Raises:
        Refused: something that lives is found by this key alone, or it is the only one; nothing is changed.
        Misconfigured, Transient: as for `list_keys`.
    """
    async with connected_at_revision(database_url, "keys", SESSION, COMMAND_SECONDS) as connection:
        left = await others_in_use(connection, HASH_PURPOSE, key_id)
        began: datetime = await connection.fetchval("SELECT now()")
        require_unneeded(key_id, await needed_without(connection, left), _WAY_OUT)
        async with connection.transaction():
            # No write is under way while this is held, and each later one sees that the key is retired. So only what
            # was written since the first look can be new.
            await connection.execute(f"{BRIEFLY}; SELECT pg_advisory_xact_lock({HASH_KEYS_LOCK})")
            left = await others_in_use(connection, HASH_PURPOSE, key_id)
            require_unneeded(key_id, await needed_without(connection, left, began - WRITE_SECONDS_MAX), _WAY_OUT)
            await key_checks.retire(connection, HASH_PURPOSE, key_id)
            await record_act(connection, actor, "key_retired", "key", key_id.hex(), {"purpose": HASH_PURPOSE})


def _living(keys: Mapping[bytes, RecordedKey]) -> list[bytes]:
    return [id_ for id_, key in keys.items() if key.retired_at is None]


async def _needed_by(connection: Connection, key_id: bytes, keys: Mapping[bytes, RecordedKey]) -> dict[str, int]:
    if keys[key_id].retired_at:
        return {}
    return await needed_without(connection, [id_ for id_ in _living(keys) if id_ != key_id])
