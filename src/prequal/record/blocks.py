"""The chain of the record, pure: an entry in bytes, and a block's proof of its entries and of the block before.

Invariant: whatever is stored of an entry is in its digest, and every digest is under a MAC that only a holder of the
key can make.
"""

import hashlib
import hmac
import json
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Self, TypeAlias

from prequal.core.keys import key_id
from prequal.core.nesting import is_deeper

COLUMNS: Final = {
    "audit_log": frozenset({"application_id", "service", "action", "request_id", "client"}),
    "acts": frozenset({"actor_kind", "actor", "action", "subject_kind", "subject", "details"}),
}
"""For each table the names of its entries' fields."""
TABLES: Final = tuple(COLUMNS)
"""The tables whose rows are entries, in the order in which a block holds them."""
BLOCK_ENTRIES: Final = 5000
"""A block holds no more of a table. One that holds so many is full: what comes after it may have been there as well."""
DIGEST_BYTES: Final = 16
"""Of SHA-256; another entry with the same digest is 2¹²⁸ tries away."""
LEVELS_MAX: Final = 100
"""Details are flat; what is nested deeper than this is handled as text, before a parser's recursion ends."""
_JSON: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)
"""Made once: `json.dumps` makes one a call, a fifth of what an entry's bytes take."""
_ENTRY: Final = struct.Struct(f">q{DIGEST_BYTES}s")

Value: TypeAlias = str | int | bool | None
Fields: TypeAlias = Mapping[str, "Value | Mapping[str, Value]"]


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of the record.

    Attributes:
        id: unique in its table, and never used again.
        fields: everything else that the row holds, but its time.
    """

    id: int
    occurred_at: datetime
    fields: Fields

    def digest(self, table: str, *, as_id: int | None = None) -> bytes:
        """16 bytes of the SHA-256 of the entry as canonical JSON (RFC 8785); with `as_id`, were that its id."""
        own = {"table": table, "id": str(as_id or self.id), "occurred_at": _time(self.occurred_at)}
        return hashlib.sha256(canonical({**self.fields, **own})).digest()[:DIGEST_BYTES]


@dataclass(frozen=True, slots=True)
class Link:
    """What the next block needs of a block, without its entries, which may be large.

    Attributes:
        number: from 1, without a gap.
        chained_at: when the chain looked for what it holds, by the database's clock, or as far as it had been before
            it stepped back.
        upto: for each table the id up to which this block and those before hold every entry.
        mac: HMAC-SHA-256, 32 bytes.
    """

    number: int
    chained_at: datetime
    upto: tuple[int, ...]
    mac: bytes


@dataclass(frozen=True, slots=True)
class Block(Link):
    """Some entries in the order of their ids, chained to the block before.

    Attributes:
        entries: for each table the packed ids and digests.
        key_id: names the key of the MAC, 8 bytes.
    """

    entries: tuple[bytes, ...]
    key_id: bytes

    @property
    def is_full(self) -> bool:
        """Whether the next block may hold what was there already when this one was made."""
        return any(len(each) >= BLOCK_ENTRIES * _ENTRY.size for each in self.entries)

    def is_of(self, key: bytes, previous: bytes) -> bool:
        """Whether the MAC is this key's, over what the block says and the MAC of the block before."""
        made = _mac(key, self.number, self.chained_at, self.upto, self.entries, previous)
        return hmac.compare_digest(self.mac, made)


@dataclass(frozen=True, slots=True)
class Seal:
    """The last block that has left the database, under a MAC of the record's key.

    Attributes:
        key_id: names the key of the MAC, 8 bytes.
        mac: HMAC-SHA-256, 32 bytes.
    """

    last: Link
    key_id: bytes
    mac: bytes

    @classmethod
    def of(cls, last: Link, key: bytes) -> Self:
        """The seal of this block."""
        return cls(last, key_id(key), _mac_of_seal(key, last))

    def is_of(self, key: bytes) -> bool:
        """Whether the MAC is this key's, over the block."""
        return hmac.compare_digest(self.mac, _mac_of_seal(key, self.last))


def chained_upto(last: Link | None) -> tuple[int, ...]:
    """For each table the id up to which the chain holds every entry; 0 without a block."""
    return last.upto if last else (0,) * len(TABLES)


def link_of(block: Link) -> Link:
    """A block without its entries."""
    return Link(block.number, block.chained_at, block.upto, block.mac)


def next_block(
    key: bytes, number: int, chained_at: datetime, upto: Sequence[int], entries: Sequence[bytes], previous: bytes
) -> Block:
    """The next block; `previous` is the MAC of the one before, empty for the first."""
    mac = _mac(key, number, chained_at, tuple(upto), tuple(entries), previous)
    return Block(number, chained_at, tuple(upto), mac, tuple(entries), key_id(key))


def packed(table: str, entries: Iterable[Entry]) -> bytes:
    """Ids and digests of entries, 24 bytes each."""
    return b"".join(_ENTRY.pack(entry.id, entry.digest(table)) for entry in entries)


def unpacked(entries: bytes) -> dict[int, bytes]:
    """The digests by the entries' ids, in their order."""
    return dict(_ENTRY.iter_unpack(entries))


def details_of(text: str) -> "Value | Mapping[str, Value]":
    """What JSON of an act's details says; the text itself where no process of ours can have written it."""
    try:
        found: Value | Mapping[str, Value] = json.loads(text)
    except (ValueError, RecursionError):  # a number of thousands of digits, or thousands of levels
        return text
    return text if is_deeper(found, LEVELS_MAX) else found


def canonical(value: object) -> bytes:
    """JSON as RFC 8785 has it; Python's own is that, for numbers here are small integers, and names of fields ASCII."""
    return _JSON.encode(value).encode(errors="surrogatepass")  # half a character, which only an altered file has


def _mac(
    key: bytes, number: int, chained_at: datetime, upto: Sequence[int], entries: Sequence[bytes], previous: bytes
) -> bytes:
    said = {
        "number": number,
        "chained_at": _time(chained_at),
        "upto": [str(each) for each in upto],
        "entries": [hashlib.sha256(each).hexdigest() for each in entries],
        "key_id": key_id(key).hex(),
        "previous": previous.hex(),
    }
    return hmac.digest(key, canonical(said), "sha256")


def _mac_of_seal(key: bytes, last: Link) -> bytes:
    said = {
        "sealed": last.number,
        "chained_at": _time(last.chained_at),
        "upto": [str(each) for each in last.upto],
        "mac": last.mac.hex(),
        "key_id": key_id(key).hex(),
    }
    return hmac.digest(key, canonical(said), "sha256")


def _time(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds")
