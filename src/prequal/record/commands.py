"""The commands of `prequal audit`, each on a connection of its own.

Invariant: nothing is chained or verified under a key that is not the database's.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Final, Protocol
from uuid import UUID

from prequal.core.blocking import blocking
from prequal.core.keys import KeyCheck, key_id
from prequal.core.lifecycle import stopped_by_signals
from prequal.core.settings.record import RecordSettings
from prequal.postgres.connections import FREE_PLANNER, Connection
from prequal.postgres.key_checks import HASH_PURPOSE, recorded, recorded_key
from prequal.record import access_queries, queries, sealing, verification
from prequal.record import chain as chaining
from prequal.record.access_queries import Access
from prequal.record.acts import Actor
from prequal.record.blocks import Link
from prequal.record.heads import Head
from prequal.record.verification import Verdict
from prequal.schema.version import connected_at_revision

COMMAND_SECONDS: Final = 600.0
SESSION: Final = FREE_PLANNER | {
    "statement_timeout": str(int(COMMAND_SECONDS * 1000) - 500),
    "idle_in_transaction_session_timeout": str(int(COMMAND_SECONDS * 1000)),
}
"""A verification is one transaction, and a PAN is looked for in the whole table."""


@blocking
async def chain(settings: RecordSettings) -> Link | None:
    """Chain what is not chained yet; the newest block, None without any.

    Raises:
        Misconfigured: the key is not the database's, or the database is not migrated.
        Transient: the database does not answer.
    """
    async with _connected(settings) as connection:
        return await chaining.chain(connection, settings.record_keys()[0])


@blocking
async def follow(settings: RecordSettings) -> None:
    """Chain until SIGTERM or SIGINT. Raises `Misconfigured` as `chain` does."""
    stop = stopped_by_signals()
    async with _connected(settings):
        pass
    await chaining.follow(settings.database_url, settings.record_keys()[0], stop, settings.record_heads_folder)


@blocking
async def newest(settings: RecordSettings) -> Link | None:
    """The newest block. Raises as `chain` does."""
    async with _connected(settings) as connection:
        return await queries.last_link(connection)


class Keys(Protocol):
    """The settings of a process that may chain: the database, and its keys of the record."""

    database_url: str

    def record_keys(self) -> list[bytes]:
        """The key of new blocks, then those of older ones."""


@blocking
async def verify(
    settings: Keys,
    head: Head | None,
    progress: Callable[[Link, int], None] = lambda *_: None,
    files: Sequence[Path] = (),
) -> Verdict:
    """Compare the record with its chain, with a head that was kept outside, and with files of blocks that have left.

    `progress` is called as `verification.verify` does. Raises as `chain` does, and `UsageError` for files that do not
    fit.
    """
    async with _connected(settings) as connection:
        return await verification.verify(connection, _by_id(settings), head, progress, files)


@blocking
async def export(settings: RecordSettings, file: Path, before: datetime) -> Link:
    """Write the blocks that were chained before that time into a file; the last of them.

    Raises as `chain` and `sealing.export` do.
    """
    async with _connected(settings) as connection:
        return await sealing.export(connection, _by_id(settings), file, before)


@blocking
async def drop(settings: RecordSettings, actor: Actor, file: Path, progress: Callable[[int], None]) -> Link:
    """Delete what a file holds from the database, under a seal; the last block of it.

    Raises as `chain` and `sealing.drop` do.
    """
    async with _connected(settings) as connection:
        return await sealing.drop(connection, _by_id(settings), settings.record_keys()[0], actor, file, progress)


@blocking
async def who(database_url: str, wanted: UUID | Sequence[str]) -> list[Access]:
    """Every access to an application, by its id, or to those of a PAN, by its hashes under one or several keys.

    Raises:
        Misconfigured: the database is not migrated.
        Transient: the database does not answer.
    """
    async with connected_at_revision(database_url, "record", SESSION, COMMAND_SECONDS) as connection:
        ids = [wanted] if isinstance(wanted, UUID) else await access_queries.applications_of(connection, wanted)
        return await access_queries.accesses(connection, ids)


@blocking
async def missing_hash_keys(database_url: str, given: Sequence[bytes]) -> list[bytes]:
    """The ids of the hash keys that the database ever knew, without those given. Raises as `who` does."""
    async with connected_at_revision(database_url, "record") as connection:
        return [id_ for id_ in await recorded(connection, HASH_PURPOSE) if id_ not in given]


def _by_id(settings: Keys) -> dict[bytes, bytes]:
    return {key_id(key): key for key in settings.record_keys()}


@asynccontextmanager
async def _connected(settings: Keys) -> AsyncIterator[Connection]:
    async with connected_at_revision(settings.database_url, "record", SESSION, COMMAND_SECONDS) as connection:
        await recorded_key("RECORD_KEY", *map(KeyCheck.of, settings.record_keys()), former=True)(connection)
        yield connection
