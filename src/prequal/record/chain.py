"""Chains what was written into the record: every entry, once its transaction and all that began before it have ended.

Invariant: an entry is in exactly one block. Ids commit out of order, so a block ends at an id below which nothing can
come any more.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import structlog

from prequal.core.errors import Transient
from prequal.core.keys import KeyCheck
from prequal.core.lifecycle import pause
from prequal.postgres import clock
from prequal.postgres.connections import Connection, connected
from prequal.postgres.key_checks import recorded_key
from prequal.record import queries
from prequal.record.blocks import BLOCK_ENTRIES, TABLES, Block, Link, chained_upto, next_block, packed
from prequal.record.heads import HeadsFolder

EVERY_SECONDS: Final = 2.0
"""An entry is in a block within 5 seconds, unless a transaction that has written stays open for longer."""
WRITERS_SECONDS: Final = 2.0
LOOK_SECONDS: Final = 0.02
CLOCK_STEP: Final = timedelta(minutes=10)
"""The database's clock may step back so far, or that of the server that takes over be so far behind."""
COMMAND_SECONDS: Final = 30.0

log = structlog.get_logger()


async def follow(database_url: str, key: bytes, stop: asyncio.Event, heads: Path | None = None) -> None:
    """Chain until `stop` is set, with a new connection where one fails; `heads` gets a file of the head each hour."""
    kept = HeadsFolder(heads)
    while not stop.is_set():
        try:
            async with connected(database_url, "record", {}, COMMAND_SECONDS, has_started=True) as connection:
                while not stop.is_set():
                    await kept.keep(await chain(connection, key))
                    await pause(stop, EVERY_SECONDS)
        except Transient as problem:
            log.warning("record_not_chained", error=type(problem).__name__)
            await pause(stop, EVERY_SECONDS)


async def chain(connection: Connection, key: bytes) -> Link | None:
    """Add blocks until each entry is in one that no open transaction can precede; returns the newest, if there is any.

    Where another process chains at this moment nothing is added.

    Raises:
        Misconfigured: the key is not, or no longer, one that the database knows; nothing is added under it.
    """
    looked_at, upto = await clock.now(connection), await _complete_ends(connection)
    while True:
        async with connection.transaction():
            if not await queries.lock(connection):
                return await queries.last_link(connection)
            last = await queries.last_link(connection)
            block = await _next(connection, key, last, looked_at, upto)
            if block is None:
                return last
            await recorded_key("RECORD_KEY", KeyCheck.of(key))(connection)
            await queries.add(connection, block)


async def _next(
    connection: Connection, key: bytes, last: Link | None, looked_at: datetime, upto: Sequence[int]
) -> Block | None:
    before = chained_upto(last)
    ends, contents, times = [], [], []
    for table, after, end in zip(TABLES, before, upto, strict=True):
        found = await queries.entries(connection, table, after, end, BLOCK_ENTRIES)
        ends.append(found[-1].id if len(found) == BLOCK_ENTRIES else max(after, end))
        contents.append(packed(table, found))
        times += [entry.occurred_at for entry in found]
    if not any(contents):
        return None
    number, previous = (last.number + 1, last.mac) if last else (1, b"")
    return next_block(key, number, _chained_at(looked_at, times, last), ends, contents, previous)


def _chained_at(looked_at: datetime, times: Sequence[datetime], last: Link | None) -> datetime:
    """The time of a block: not before its entries' and the last one's, for the clock may have stepped back.

    It is that of the look, not of the making: what came between the two, however long, is in no block yet.

    What is later by more than `CLOCK_STEP` had its time from elsewhere: it stays for `verify` to name.
    """
    earlier = [*times, *([last.chained_at] if last else [])]
    return max([looked_at, *(at for at in earlier if at <= looked_at + CLOCK_STEP)])


async def _complete_ends(connection: Connection) -> list[int]:
    """For each table an id: all entries up to it are to be seen now, or never.

    A transaction locks the table before it takes an id, and keeps the lock until it ends. So below the greatest id that
    can be seen, only those that hold the lock now can still add entries. It waits for them, but not for ever: then the
    ends are 0, and the next round tries again.
    """
    ends = [await queries.last_id(connection, table) for table in TABLES]
    before, deadline = await queries.writers(connection), asyncio.get_running_loop().time() + WRITERS_SECONDS
    while before := before & await queries.writers(connection):
        if asyncio.get_running_loop().time() > deadline:
            return [0] * len(TABLES)
        await asyncio.sleep(LOOK_SECONDS)
    return ends
