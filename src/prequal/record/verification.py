"""Compares the record with its chain, and names the first entry that is not as it was chained.

Invariant: it reads block after block, so that its memory does not grow with the record.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from prequal.core.errors import Misconfigured
from prequal.postgres.connections import Connection
from prequal.record import queries
from prequal.record.blocks import TABLES, Block, Entry, Link, chained_upto, unpacked
from prequal.record.heads import Head

OPEN_TRANSACTION: Final = timedelta(minutes=10)
"""Longer than a transaction that writes an entry may be open: the entry has the time of its begin."""
READ_ENTRIES: Final = 10_000_000
"""More than a block can hold; a table that holds more between two ends was filled by a stranger."""


@dataclass(frozen=True, slots=True)
class Tampering:
    """What is not as it was chained; `entry` is `table:id`, or `block:number`."""

    kind: str
    entry: str

    def __str__(self) -> str:
        return f"{self.entry} was {self.kind}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a verification found; `waiting` entries are not in a block yet."""

    blocks: int
    entries: int
    waiting: int
    tampering: Tampering | None


async def verify(
    connection: Connection,
    keys: Mapping[bytes, bytes],
    head: Head | None,
    progress: Callable[[Link, int], None],
) -> Verdict:
    """Compare everything, in one snapshot; `keys` are by their ids, `head` is one that was kept outside.

    `progress` is called with each block that is as it was chained, and how many entries there were up to it.

    Raises:
        Misconfigured: a block is under a key that is not among `keys`. And whatever `progress` raises.
    """
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        entries, last, tampering = 0, None, None
        async for block in queries.blocks(connection):
            tampering = _of_block(block, last, keys, head) or await _of_entries(connection, block, last)
            if tampering:
                break
            entries += sum(len(unpacked(each)) for each in block.entries)
            last = block
            progress(block, entries)
        number = last.number if last else 0
        if tampering is None and head is not None and number < head.number:
            tampering = Tampering("cut off", f"block:{number + 1}")
        waiting = 0 if tampering else await _waiting(connection, last)
    return Verdict(number, entries, waiting, tampering)


def _of_block(block: Block, last: Block | None, keys: Mapping[bytes, bytes], head: Head | None) -> Tampering | None:
    number = last.number + 1 if last else 1
    if block.number != number:
        return Tampering("removed", f"block:{number}")
    if block.key_id not in keys:
        raise Misconfigured(
            f"Block {block.number} is under RECORD_KEY {block.key_id.hex()}, which is not here: add it to "
            f"RECORD_KEYS_RETIRED."
        )
    if not block.is_of(keys[block.key_id], last.mac if last else b""):
        return Tampering("altered", f"block:{number}")
    if head is not None and head.number == number and head.mac != block.mac:
        return Tampering("replaced since the head was exported", f"block:{number}")
    return None


async def _of_entries(connection: Connection, block: Block, last: Block | None) -> Tampering | None:
    for table, after, upto, chained in zip(TABLES, chained_upto(last), block.upto, block.entries, strict=True):
        stored = {each.id: each for each in await queries.entries(connection, table, after, upto, READ_ENTRIES)}
        if tampering := _first(table, unpacked(chained), stored):
            return tampering
        begun = last.chained_at - OPEN_TRANSACTION if last else None
        if dated := _out_of_time(stored, begun, block.chained_at):
            return Tampering("back-dated before it was chained", f"{table}:{dated}")
    return None


def _first(table: str, chained: Mapping[int, bytes], stored: Mapping[int, Entry]) -> Tampering | None:
    differ = [id_ for id_, digest in chained.items() if id_ in stored and stored[id_].digest(table) != digest]
    for id_ in sorted(chained.keys() | stored.keys()):
        if id_ not in stored:
            return Tampering("removed", f"{table}:{id_}")
        if id_ not in chained:
            return Tampering("inserted", f"{table}:{id_}")
        if id_ in differ:
            return Tampering(_kind(table, id_, chained, stored, differ), f"{table}:{id_}")
    return None


def _kind(table: str, id_: int, chained: Mapping[int, bytes], stored: Mapping[int, Entry], differ: list[int]) -> str:
    """How an entry was altered: its content may be another's."""
    for other in differ[:1000]:
        if other != id_ and stored[other].digest(table, as_id=id_) == chained[id_]:
            return f"swapped with {table}:{other}"
    return "altered"


def _out_of_time(stored: Mapping[int, Entry], begun: datetime | None, chained_at: datetime) -> int | None:
    for id_, entry in stored.items():
        if entry.occurred_at > chained_at or (begun is not None and entry.occurred_at < begun):
            return id_
    return None


async def _waiting(connection: Connection, last: Block | None) -> int:
    return sum(
        [
            await queries.count_after(connection, table, after)
            for table, after in zip(TABLES, chained_upto(last), strict=True)
        ]
    )
