"""The check values of keys that the database keeps, so that a valid but wrong key is noticed at the start.

Invariant: the first start records its keys; every later one must bring a key that is recorded.
"""

import hmac
from collections.abc import Awaitable, Callable

from prequal.core.errors import Misconfigured
from prequal.postgres.connections import Connection

KEY_CHECK_LOCK = 0x70726573


def recorded_key(purpose: str, key_id: bytes, check_value: bytes) -> Callable[[Connection], Awaitable[None]]:
    """A check that compares a key with those recorded in the database, and records it at the first start.

    Args:
        purpose: the setting's name, such as `ENCRYPTION_KEY`.
        key_id: the key's public name, 8 bytes.
        check_value: proof of knowing the key that reveals nothing about it, 32 bytes.
    """

    async def check(connection: Connection) -> None:
        """Raises `Misconfigured` when the database knows other keys of this purpose, and not this one."""
        known = await _known_or_recorded(connection, purpose, key_id, check_value)
        if known and not any(hmac.compare_digest(value, check_value) for _, value in known):
            raise Misconfigured(
                f"{purpose} (id {key_id.hex()}) is not the key this database was made with "
                f"(id {known[0][0].hex()}): set the right one, and start again."
            )

    return check


async def _known_or_recorded(
    connection: Connection, purpose: str, key_id: bytes, check_value: bytes
) -> list[tuple[bytes, bytes]]:
    """The recorded ids and check values; none when this key was recorded as the first."""
    async with connection.transaction():
        # Two processes that start first at once, with different keys, must not both be first.
        await connection.execute("SELECT pg_advisory_xact_lock($1)", KEY_CHECK_LOCK)
        known = await connection.fetch("SELECT key_id, check_value FROM key_checks WHERE purpose = $1", purpose)
        if not known:
            await connection.execute("INSERT INTO key_checks VALUES ($1, $2, $3)", purpose, key_id, check_value)
    return [(bytes(row["key_id"]), bytes(row["check_value"])) for row in known]
