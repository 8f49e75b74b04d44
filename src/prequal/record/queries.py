"""The SQL of the chained record.

Invariant: no session caches ids, so that every id below one that can be seen was taken before it.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import asyncpg

from prequal.postgres.connections import Connection
from prequal.record.blocks import Block, Entry, Link, Seal, details_of

CHAIN_LOCK: Final = 0x6368616E  # "chan"


def readable(column: str) -> str:
    """SQL of a column's time as Python can have it: one before or after that, which is none of ours, is its bound."""
    return f"least(greatest({column}, '0001-01-02 00:00Z'::timestamptz), '9999-12-30 00:00Z'::timestamptz)"


_AT: Final = f"{readable('occurred_at')} AS occurred_at"
_READ: Final[Mapping[str, str]] = {
    "audit_log": f"""
        SELECT id, {_AT}, application_id::text, service, action, request_id, client
        FROM audit_log WHERE id > $1 AND id <= $2 ORDER BY id LIMIT $3
    """,
    "acts": f"""
        SELECT id, {_AT}, actor_kind, actor, action, subject_kind, subject, details::text
        FROM acts WHERE id > $1 AND id <= $2 ORDER BY id LIMIT $3
    """,
}
_LAST: Final[Mapping[str, str]] = {
    "audit_log": "SELECT coalesce(max(id), 0) FROM audit_log",
    "acts": "SELECT coalesce(max(id), 0) FROM acts",
}
_AFTER: Final[Mapping[str, str]] = {
    "audit_log": "SELECT count(*) FROM audit_log WHERE id > $1",
    "acts": "SELECT count(*) FROM acts WHERE id > $1",
}
_FIRST: Final[Mapping[str, str]] = {
    "audit_log": "SELECT min(id) FROM audit_log WHERE id <= $1",
    "acts": "SELECT min(id) FROM acts WHERE id <= $1",
}
_DELETE: Final[Mapping[str, str]] = {
    "audit_log": """
        DELETE FROM audit_log WHERE id IN (SELECT id FROM audit_log WHERE id <= $1 ORDER BY id LIMIT $2)
    """,
    "acts": "DELETE FROM acts WHERE id IN (SELECT id FROM acts WHERE id <= $1 ORDER BY id LIMIT $2)",
}
_CHAINED_AT: Final = readable("chained_at")


@dataclass(frozen=True, slots=True)
class ChainLag:
    """When the newest block was made, and how long the oldest entry has been in none; 0 without such an entry."""

    chained_at: datetime | None
    oldest_unchained_seconds: float


async def lock(connection: Connection) -> bool:
    """Whether this transaction is the one that may add blocks."""
    found: bool = await connection.fetchval("SELECT pg_try_advisory_xact_lock($1)", CHAIN_LOCK)
    return found


async def last_id(connection: Connection, table: str) -> int:
    """The greatest id that can be seen; 0 without entries."""
    found: int = await connection.fetchval(_LAST[table])
    return found


async def writers(connection: Connection) -> set[str]:
    """The transactions that have written, or are about to write, into a table of the record."""
    rows = await connection.fetch(
        """
        SELECT DISTINCT virtualtransaction FROM pg_locks
        WHERE relation IN ('audit_log'::regclass, 'acts'::regclass) AND mode = 'RowExclusiveLock' AND granted
        """
    )
    return {row[0] for row in rows}


async def entries(connection: Connection, table: str, after: int, upto: int, limit: int) -> list[Entry]:
    """Entries with ids above `after` and not above `upto`, by id."""
    return [_entry(table, row) for row in await connection.fetch(_READ[table], after, upto, limit)]


async def count_after(connection: Connection, table: str, after: int) -> int:
    """How many entries have ids above `after`."""
    row = await connection.fetchrow(_AFTER[table], after)
    return int(row[0]) if row else 0


async def last_link(connection: Connection) -> Link | None:
    """The newest block, without its entries."""
    row = await connection.fetchrow(
        f"""
        SELECT number, {_CHAINED_AT}, audit_log_upto, acts_upto, mac FROM record_blocks ORDER BY number DESC LIMIT 1
        """
    )
    return None if row is None else Link(row[0], row[1], (row[2], row[3]), bytes(row[4]))


async def lag(connection: Connection) -> ChainLag:
    """How far the chain is behind."""
    row = await connection.fetchrow(
        f"""
        SELECT last.chained_at,
               greatest(0, extract(epoch FROM clock_timestamp() - least(
                   (SELECT {_AT} FROM audit_log WHERE id > coalesce(last.audit_log_upto, 0) ORDER BY id LIMIT 1),
                   (SELECT {_AT} FROM acts WHERE id > coalesce(last.acts_upto, 0) ORDER BY id LIMIT 1)
               )))::double precision
        FROM (SELECT) AS always
        LEFT JOIN LATERAL (
            SELECT {_CHAINED_AT} AS chained_at, audit_log_upto, acts_upto
            FROM record_blocks ORDER BY number DESC LIMIT 1
        ) AS last ON true
        """
    )
    assert row is not None
    return ChainLag(row[0], row[1])


async def blocks(connection: Connection, after: int = 0) -> AsyncIterator[Block]:
    """The blocks after this number, by number, one at a time: a block may be large."""
    number = after
    while True:
        row = await connection.fetchrow(
            f"""
            SELECT number, {_CHAINED_AT}, audit_log_upto, acts_upto, audit_log_entries, acts_entries, key_id, mac
            FROM record_blocks WHERE number > $1 ORDER BY number LIMIT 1
            """,
            number,
        )
        if row is None:
            return
        yield (block := _block(row))
        number = block.number


async def add(connection: Connection, block: Block) -> None:
    """Add the next block."""
    await connection.execute(
        """
        INSERT INTO record_blocks (
            number, chained_at, audit_log_upto, acts_upto, audit_log_entries, acts_entries, key_id, mac
        ) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
        """,
        block.number,
        block.chained_at,
        *block.upto,
        *block.entries,
        block.key_id,
        block.mac,
    )


async def mac_of(connection: Connection, number: int) -> bytes | None:
    """The MAC of a block; None when it is not there."""
    found = await connection.fetchval("SELECT mac FROM record_blocks WHERE number = $1", number)
    return None if found is None else bytes(found)


async def seal(connection: Connection) -> Seal | None:
    """The newest seal."""
    row = await connection.fetchrow(
        f"""
        SELECT block, {_CHAINED_AT}, audit_log_upto, acts_upto, block_mac, key_id, mac
        FROM record_seals ORDER BY block DESC LIMIT 1
        """
    )
    if row is None:
        return None
    return Seal(Link(row[0], row[1], (row[2], row[3]), bytes(row[4])), bytes(row[5]), bytes(row[6]))


async def add_seal(connection: Connection, seal: Seal) -> None:
    """Seal a block and all before it: from then on their entries may be deleted."""
    await connection.execute(
        """
        INSERT INTO record_seals (block, chained_at, audit_log_upto, acts_upto, block_mac, key_id, mac)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
        """,
        seal.last.number,
        seal.last.chained_at,
        *seal.last.upto,
        seal.last.mac,
        seal.key_id,
        seal.mac,
    )


async def first_id(connection: Connection, table: str, upto: int) -> int | None:
    """The least id not above `upto`; None without one."""
    found: int | None = await connection.fetchval(_FIRST[table], upto)
    return found


async def delete_entries(connection: Connection, table: str, upto: int, limit: int) -> int:
    """Delete the first entries with ids not above `upto`; how many there were."""
    return int((await connection.execute(_DELETE[table], upto, limit)).split()[1])


async def delete_blocks(connection: Connection, upto: int, limit: int) -> int:
    """Delete the first blocks with numbers not above `upto`; how many there were."""
    done = await connection.execute(
        """
        DELETE FROM record_blocks WHERE number IN (
            SELECT number FROM record_blocks WHERE number <= $1 ORDER BY number LIMIT $2
        )
        """,
        upto,
        limit,
    )
    return int(done.split()[1])


def _entry(table: str, row: "asyncpg.Record") -> Entry:
    fields = dict(row)
    id_, occurred_at = fields.pop("id"), fields.pop("occurred_at")
    if table == "acts":
        fields["details"] = details_of(fields["details"])
    return Entry(id_, occurred_at, fields)


def _block(row: "asyncpg.Record") -> Block:
    number, chained_at, audit_log_upto, acts_upto, audit_log_entries, acts_entries, key_id, mac = row
    upto, packed = (audit_log_upto, acts_upto), (audit_log_entries, acts_entries)
    return Block(number, chained_at, upto, bytes(mac), packed, bytes(key_id))
