"""The check values of keys that the database keeps, so that a valid but wrong key is noticed at the start.

Invariant: the first start records its keys; every later one must bring keys that are recorded.
"""

import asyncio
import hmac
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import asyncpg

from prequal.core.errors import Misconfigured, Transient
from prequal.core.keys import KeyCheck
from prequal.postgres.connections import Connection
from prequal.postgres.locks import LOCK_MS

KEY_CHECK_LOCK = 0x70726573
HASH_KEYS_LOCK = 0x70726574
"""Shared by each write of applications and of clients' secrets: while it is held alone, none is under way."""
HASH_PURPOSE: Final = "PAN_HASH_KEY"
BRIEFLY: Final = "SET LOCAL lock_timeout = '900ms'; SET LOCAL statement_timeout = '900ms'"
"""A write waits a second for a lock before it gives up: retirement holds it for less."""
HOLD_TRIES: Final = 5
HOLD_PAUSE_SECONDS: Final = 0.4
"""Between tries, in which the writes that have waited behind one go on."""


@dataclass(frozen=True, slots=True)
class RecordedKey:
    """A key that was made known."""

    recorded_at: datetime
    retired_at: datetime | None


def recorded_key(
    purpose: str, check: KeyCheck, *retired: KeyCheck, former: bool = False
) -> Callable[[Connection], Awaitable[None]]:
    """A check that compares keys with those recorded in the database, and records them at the first start.

    In a transaction of its caller's, no other process records or retires a key of a setting before that ends.

    Args:
        purpose: the setting's name, such as `ENCRYPTION_KEY`.
        check: of the key in use.
        retired: of those that are used for what is old only.
        former: whether one of those may be out of use by `prequal keys retire`: what it made is kept elsewhere.
    """

    async def compare(connection: Connection) -> None:
        """Raises `Misconfigured` when the database knows other keys of this purpose, and not these."""
        known = await _known_or_recorded(connection, purpose, (check, *retired))
        _require_active(purpose, check, known)
        await _require_every_retired(connection, purpose, retired, known, former=former)

    return compare


def recorded_hash_keys(check: KeyCheck, *retired: KeyCheck) -> Callable[[Connection], Awaitable[None]]:
    """As `recorded_key`, for the keys that applications are claimed under, of which the oldest may not be missing.

    A key that was retired meanwhile does no harm among `retired`: it is found and claimed for nothing.
    """

    async def compare(connection: Connection) -> None:
        """Raises `Misconfigured` as the check of `recorded_key` does, or when the oldest key is missing."""
        known = await _known_or_recorded(connection, HASH_PURPOSE, (check, *retired))
        _require_active(HASH_PURPOSE, check, known)
        await _require_every_retired(connection, HASH_PURPOSE, retired, known, former=True)
        if known and not _is_among(known[0], [check, *retired]):
            raise Misconfigured(
                f"The {HASH_PURPOSE} before this one (id {known[0].key_id.hex()}) is not retired: add it to "
                f"PAN_HASH_KEYS_RETIRED, or take it out of use by `prequal keys retire`."
            )

    return compare


def _require_active(purpose: str, check: KeyCheck, known: Sequence[KeyCheck]) -> None:
    if known and not _is_among(check, known):
        raise Misconfigured(
            f"{purpose} (id {check.key_id.hex()}) is not the key this database was made with "
            f"(id {known[0].key_id.hex()}): set the right one, and start again; a new one is first made known by "
            f"`prequal keys rotate`."
        )


async def _require_every_retired(
    connection: Connection, purpose: str, checks: Sequence[KeyCheck], known: Sequence[KeyCheck], *, former: bool
) -> None:
    missing = [check for check in checks if known and not _is_among(check, known)]
    if missing and former:
        out_of_use = await _retired(connection, purpose)
        missing = [check for check in missing if not _is_among(check, out_of_use)]
    if missing:
        raise Misconfigured(
            f"A retired {purpose} (id {missing[0].key_id.hex()}) is no key of this database: take it out, or set the "
            f"right one; `prequal keys list` shows the ids, and `prequal keys rotate` makes a new one known."
        )


async def record(connection: Connection, purpose: str, check: KeyCheck) -> None:
    """Make a key known, so that processes may start with it; one that is known stays as it is."""
    await connection.execute(
        "INSERT INTO key_checks (purpose, key_id, check_value) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        purpose,
        check.key_id,
        check.value,
    )


async def retire(connection: Connection, purpose: str, id_: bytes) -> None:
    """Write that a key is out of use: it stays known as that, and no process starts with it as its own."""
    await connection.execute(
        "UPDATE key_checks SET retired_at = now() WHERE purpose = $1 AND key_id = $2", purpose, id_
    )


async def take_back(connection: Connection, purpose: str, id_: bytes) -> None:
    """Write that a key is in use after all."""
    await connection.execute("UPDATE key_checks SET retired_at = NULL WHERE purpose = $1 AND key_id = $2", purpose, id_)


async def hold_checks_off(connection: Connection) -> None:
    """Let no other transaction check a key before this one ends; what those that did have made is to be seen.

    A statement locks the tables that it reads before it takes its snapshot: one that waited here sees what was written
    under this lock. Every write reads this table, and those that come while one waits here wait behind it, as
    long as `LOCK_MS` at most.

    Raises:
        Transient: a transaction that has looked at the keys stays open for long.
    """
    for number in range(HOLD_TRIES):
        await asyncio.sleep(HOLD_PAUSE_SECONDS if number else 0)
        with suppress(asyncpg.LockNotAvailableError):
            async with connection.transaction():  # a savepoint: the caller's transaction goes on behind a failed try
                await connection.execute(
                    f"SET LOCAL lock_timeout = {LOCK_MS}; LOCK TABLE key_checks IN ACCESS EXCLUSIVE MODE"
                )
            await connection.execute(BRIEFLY)
            return
    raise Transient(
        "Another transaction has the table of the keys open, such as a backup: try again when it has ended."
    )


async def purposes_of(connection: Connection, id_: bytes) -> list[str]:
    """For what a key was made known, by its id; first those for which it is not retired."""
    rows = await connection.fetch(
        "SELECT purpose FROM key_checks WHERE key_id = $1 ORDER BY retired_at IS NOT NULL, purpose", id_
    )
    return [row[0] for row in rows]


async def forget(connection: Connection, purpose: str, id_: bytes) -> None:
    """Make a key unknown: no process starts with it any more."""
    await connection.execute("DELETE FROM key_checks WHERE purpose = $1 AND key_id = $2", purpose, id_)


async def recorded(connection: Connection, purpose: str) -> dict[bytes, RecordedKey]:
    """The keys of a purpose that were made known and not forgotten, retired ones too, by key id; the oldest first."""
    rows = await connection.fetch(
        "SELECT key_id, created_at, retired_at FROM key_checks WHERE purpose = $1 ORDER BY created_at, key_id", purpose
    )
    return {bytes(row[0]): RecordedKey(row[1], row[2]) for row in rows}


def _is_among(check: KeyCheck, known: Sequence[KeyCheck]) -> bool:
    return any(hmac.compare_digest(each.value, check.value) for each in known)


async def _known_or_recorded(connection: Connection, purpose: str, checks: Sequence[KeyCheck]) -> list[KeyCheck]:
    """The recorded checks, the oldest first; none when these were recorded as the first."""
    async with connection.transaction():
        # Two processes that start first at once, with different keys, must not both be first.
        await connection.execute("SELECT pg_advisory_xact_lock($1)", KEY_CHECK_LOCK)
        known = await connection.fetch(
            """
            SELECT key_id, check_value FROM key_checks WHERE purpose = $1 AND retired_at IS NULL
            ORDER BY created_at, key_id
            """,
            purpose,
        )
        for check in () if known else checks:
            await record(connection, purpose, check)
    return _checks(known)


async def _retired(connection: Connection, purpose: str) -> list[KeyCheck]:
    return _checks(
        await connection.fetch(
            "SELECT key_id, check_value FROM key_checks WHERE purpose = $1 AND retired_at IS NOT NULL", purpose
        )
    )


def _checks(rows: Sequence[asyncpg.Record]) -> list[KeyCheck]:
    return [KeyCheck(bytes(row["key_id"]), bytes(row["check_value"])) for row in rows]
