"""Compares the record with its chain, and names the first entry that is not as it was chained.

Invariant: it reads block after block, so that its memory does not grow with the record.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from prequal.core.errors import Misconfigured, UsageError
from prequal.domain.counts import noun
from prequal.postgres.connections import Connection
from prequal.record import exports, queries
from prequal.record.blocks import TABLES, Block, Entry, Link, Seal, chained_upto, link_of, unpacked
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
    """What a verification found; `waiting` entries are not in a block yet, and blocks up to `sealed` have left."""

    blocks: int
    entries: int
    waiting: int
    tampering: Tampering | None
    sealed: int = 0

    @property
    def words(self) -> str:
        """What was found, in a sentence without its full stop."""
        entries = f"{self.entries} {noun(self.entries, 'entry', 'entries')}"
        as_chained = f"{noun(self.entries, 'is as it was', 'are as they were')} chained"
        if self.tampering is not None:
            return f"{self.tampering}; {entries} before it {as_chained}"
        return f"OK: {entries} in {self.blocks} {noun(self.blocks, 'block')} {as_chained}"


async def verify(
    connection: Connection,
    keys: Mapping[bytes, bytes],
    head: Head | None,
    progress: Callable[[Link, int], None],
    files: Sequence[Path] = (),
) -> Verdict:
    """Compare everything, in one snapshot; `keys` are by their ids, `head` is one that was kept outside.

    `progress` is called with each block that is as it was chained, and how many entries there were up to it. `files`
    hold blocks that have left the database, one after the other, up to the last of them.

    Raises:
        Misconfigured: a block is under a key that is not among `keys`. And whatever `progress` raises.
        UsageError: the files do not fit together, or are missing where the head is of a block that has left.
    """
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        walk = Walk(keys, head, progress)
        seal = await queries.seal(connection)
        tampering = await _of_sealed(connection, walk, seal, files) or await _of_stored(connection, walk)
        if tampering is None and head is not None and walk.number < head.number:
            tampering = Tampering("cut off", f"block:{walk.number + 1}")
        waiting = 0 if tampering else await _waiting(connection, walk.last)
    return Verdict(walk.blocks, walk.entries, waiting, tampering, seal.last.number if seal else 0)


class Walk:
    """Goes from block to block, and sees that each is as it was chained.

    Attributes:
        last: the block before the next one.
        blocks: how many were seen.
        entries: the same.
    """

    def __init__(
        self,
        keys: Mapping[bytes, bytes],
        head: Head | None = None,
        progress: Callable[[Link, int], None] = lambda *_: None,
    ) -> None:
        """Begin before the first block; the arguments are those of `verify`."""
        self.last: Link | None = None
        self.blocks = 0
        self.entries = 0
        self._complete_at: datetime | None = None
        self._looked_at: datetime | None = None
        self._keys = keys
        self._head = head
        self._progress = progress

    @property
    def number(self) -> int:
        """The last block's number; 0 before the first."""
        return self.last.number if self.last else 0

    def begin_after(self, last: Link) -> Tampering | None:
        """Begin after a block that was verified.

        Raises:
            UsageError: the head is of a block before it.
        """
        self.last, self._complete_at = last, last.chained_at
        if self._head is not None and self._head.number < last.number:
            raise UsageError(
                f"Block {self._head.number} of the head has left the database: give the files from that block on, by "
                f"--export."
            )
        return self._of_head(last)

    def of_seal(self, seal: Seal) -> Tampering | None:
        """What is wrong with a seal. Raises `Misconfigured` as `verify` does."""
        number = seal.last.number
        if seal.is_of(self._key(seal.key_id, f"The seal of block {number}")):
            return None
        return Tampering("altered", f"seal:{number}")

    def of_block(self, block: Block) -> Tampering | None:
        """What is wrong with the next block itself."""
        if block.number != self.number + 1:
            return Tampering("removed", f"block:{self.number + 1}")
        if not block.is_of(self._key(block.key_id, f"Block {block.number}"), self.last.mac if self.last else b""):
            return Tampering("altered", f"block:{block.number}")
        return self._of_head(block)

    def of_entries(self, block: Block, found: Sequence[Mapping[int, Entry]]) -> Tampering | None:
        """What is wrong with its entries, of which `found` are for each table; nothing: then it is the last block."""
        begun = self._complete_at - OPEN_TRANSACTION if self._complete_at else None
        for table, chained, stored in zip(TABLES, block.entries, found, strict=True):
            if tampering := _first(table, unpacked(chained), stored):
                return tampering
            if dated := _out_of_time(stored, begun, block.chained_at):
                return Tampering("back-dated before it was chained", f"{table}:{dated}")
        self._note_time(block)
        self.last = block
        self.blocks += 1
        self.entries += sum(map(len, found))
        self._progress(block, self.entries)
        return None

    def of_file(self, file: Path) -> Tampering | None:
        """What is wrong with the blocks of a file, which go on from the last one.

        Raises:
            UsageError: they do not, or it is no such file.
        """
        if exports.before(file) != (None if self.last is None else link_of(self.last)):
            raise UsageError(f"{file} does not go on where the file before it ends, or what was dropped begins.")
        for exported in exports.read(file):
            block = exported.block
            if tampering := self.of_block(block) or self.of_entries(block, exported.entries):
                return tampering
        return None

    def _note_time(self, block: Block) -> None:
        """Keep when the chain looked and left nothing out: what it finds at a later look was written after that.

        Behind a full block come entries of the same look, which may be much older than it, where the chain had to wait.
        """
        looked_at = self._looked_at or block.chained_at
        if block.is_full:
            self._looked_at = looked_at
        else:
            self._complete_at, self._looked_at = looked_at, None

    def _key(self, id_: bytes, whose: str) -> bytes:
        """The key of this id. Raises `Misconfigured` as `verify` does."""
        if id_ not in self._keys:
            raise Misconfigured(
                f"{whose} is under RECORD_KEY {id_.hex()}, which is not here: add it to RECORD_KEYS_RETIRED."
            )
        return self._keys[id_]

    def _of_head(self, block: Link) -> Tampering | None:
        head = self._head
        if head is not None and head.number == block.number and head.mac != block.mac:
            return Tampering("replaced since the head was exported", f"block:{block.number}")
        return None


async def stored_entries(connection: Connection, block: Link, last: Link | None) -> list[dict[int, Entry]]:
    """For each table the entries between the ends of two blocks, by their ids."""
    return [
        {each.id: each for each in await queries.entries(connection, table, after, upto, READ_ENTRIES)}
        for table, after, upto in zip(TABLES, chained_upto(last), block.upto, strict=True)
    ]


async def _of_stored(connection: Connection, walk: Walk) -> Tampering | None:
    async for block in queries.blocks(connection, walk.number):
        tampering = walk.of_block(block) or walk.of_entries(block, await stored_entries(connection, block, walk.last))
        if tampering:
            return tampering
    return None


async def _of_sealed(connection: Connection, walk: Walk, seal: Seal | None, files: Sequence[Path]) -> Tampering | None:
    """What is wrong with the seal, with the files of what has left, or with what should have left."""
    if seal is None:
        if files:
            raise UsageError("No block has left this database: verify without --export.")
        return None
    last = seal.last
    if tampering := walk.of_seal(seal) or (_of_files(walk, files) if files else walk.begin_after(last)):
        return tampering
    if files and (walk.number, walk.last and walk.last.mac) != (last.number, last.mac):
        raise UsageError(
            f"The files end at block {walk.number}, and blocks up to {last.number} have left the database."
        )
    for table, upto in zip(TABLES, last.upto, strict=True):
        if (left := await queries.first_id(connection, table, upto)) is not None:
            return Tampering("left, or inserted, below what was dropped", f"{table}:{left}")
    return None


def _of_files(walk: Walk, files: Sequence[Path]) -> Tampering | None:
    before = exports.before(files[0])
    tampering = None if before is None else walk.begin_after(before)
    for file in files:
        tampering = tampering or walk.of_file(file)
    return tampering


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


async def _waiting(connection: Connection, last: Link | None) -> int:
    return sum(
        [
            await queries.count_after(connection, table, after)
            for table, after in zip(TABLES, chained_upto(last), strict=True)
        ]
    )
