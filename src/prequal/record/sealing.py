"""Old blocks leave the database: exported into a file, sealed, and dropped with their entries.

Invariant: nothing is dropped that is not in a file that was verified a moment before, and under a seal.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Final

from prequal.core.errors import Refused, UsageError
from prequal.core.keys import KeyCheck
from prequal.postgres.connections import Connection
from prequal.postgres.key_checks import recorded_key
from prequal.record import exports, queries
from prequal.record.acts import Actor, record_act
from prequal.record.blocks import TABLES, Block, Link, Seal, link_of
from prequal.record.exports import Exported, ExportWriter
from prequal.record.verification import Walk, stored_entries

DELETE_ROWS: Final = 5000
"""So many rows are deleted in a transaction: the chain waits for its end."""
DELETE_BLOCKS: Final = 100


async def export(connection: Connection, keys: Mapping[bytes, bytes], file: Path, before: datetime) -> Link:
    """Write the blocks that were chained before that time into a file, with their entries; the last of them.

    The newest block stays. What is written is verified meanwhile.

    Raises:
        Refused: there is no such block, or one of them is not as it was chained.
        UsageError: the file cannot be written.
    """
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        walk = await _after_seal(connection, keys)
        newest = await queries.last_link(connection)
        with ExportWriter(file, walk.last) as writer:
            last = None
            async for block in queries.blocks(connection, walk.number):
                if newest is None or block.number >= newest.number or block.chained_at >= before:
                    break
                found = await _verified(connection, walk, block)
                writer.add(found)
                last = link_of(block)
            if last is None:
                raise Refused("No block is so old that it can be exported; the newest one stays in any case.")
    return last


async def drop(
    connection: Connection,
    keys: Mapping[bytes, bytes],
    key: bytes,
    actor: Actor,
    file: Path,
    progress: Callable[[int], None] = lambda _: None,
) -> Link:
    """Seal the last block of a file under `key`, and delete it, those before it, and their entries; that block.

    What was begun may be begun again. Until it has ended, `verify` names an entry that is left. `progress` is called
    with the number of entries that were deleted.

    Raises:
        Refused: the file, or what is stored, is not as it was chained, or it holds the newest block.
        UsageError: it is no such file, or of other blocks.
        Misconfigured: the key was retired meanwhile.
    """
    seal = await queries.seal(connection)
    last, entries = _read(file, keys)
    if seal is None or seal.last != last:
        await _require_stored(connection, file, last, seal)
        async with connection.transaction():
            await recorded_key("RECORD_KEY", KeyCheck.of(key))(connection)
            await queries.add_seal(connection, Seal.of(last, key))
            await record_act(
                connection, actor, "record_dropped", "block", str(last.number), {"entries": entries, "file": file.name}
            )
    deleted = 0
    for table, upto in zip(TABLES, last.upto, strict=True):
        while count := await queries.delete_entries(connection, table, upto, DELETE_ROWS):
            deleted += count
            progress(deleted)
    while await queries.delete_blocks(connection, last.number, DELETE_BLOCKS):
        pass
    return last


def _read(file: Path, keys: Mapping[bytes, bytes]) -> tuple[Link, int]:
    """The last block of a file that was verified, and how many entries it holds."""
    walk, before = Walk(keys), exports.before(file)
    if before is not None:
        walk.begin_after(before)
    if tampering := walk.of_file(file):
        raise Refused(f"{tampering}, in {file}: nothing is dropped.")
    if walk.last is None or walk.last == before:
        raise UsageError(f"{file} holds no block.")
    return link_of(walk.last), walk.entries


async def _require_stored(connection: Connection, file: Path, last: Link, seal: Seal | None) -> None:
    """See that the file holds what is stored, from the last seal on."""
    if exports.before(file) != (seal and seal.last):
        raise UsageError(f"{file} does not go on where what was dropped before ends.")
    if await queries.mac_of(connection, last.number) != last.mac:
        raise Refused(f"Block {last.number} is stored otherwise than {file} has it: nothing is dropped.")
    newest = await queries.last_link(connection)
    if newest is None or newest.number <= last.number:
        raise Refused(f"Block {last.number} is the newest: the chain goes on from it, and it stays.")


async def _after_seal(connection: Connection, keys: Mapping[bytes, bytes]) -> Walk:
    """A walk that begins after what was dropped before."""
    walk, seal = Walk(keys), await queries.seal(connection)
    if seal is not None:
        if walk.of_seal(seal):
            raise Refused(f"The seal of block {seal.last.number} was altered: nothing is exported.")
        walk.begin_after(seal.last)
    return walk


async def _verified(connection: Connection, walk: Walk, block: Block) -> Exported:
    tampering, found = walk.of_block(block), []
    if tampering is None:
        found = await stored_entries(connection, block, walk.last)
        tampering = walk.of_entries(block, found)
    if tampering:
        raise Refused(f"{tampering}: nothing is exported.")
    return Exported(block, tuple(found))
