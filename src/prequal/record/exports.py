"""Blocks of the chain with their entries in a file, so that they may leave the database and still be verified.

Invariant: a file is whole, or not there; what it says is proved by the MACs of its blocks alone, and it says nothing
that they are not over: a line that differs in one character from what is written of its block is refused.

    first line       the block before, without entries: {"number": …, "chained_at": …, "upto": […], "mac": …}, or null
    a line a block   the same, and "key_id": …, "digests": […], "entries": [[…], […]]
"""

import base64
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO

from prequal.core import files
from prequal.core.errors import UsageError
from prequal.core.files import Draft
from prequal.core.nesting import is_deeper
from prequal.record.blocks import COLUMNS, LEVELS_MAX, TABLES, Block, Entry, Link

Entries = tuple[Mapping[int, Entry], ...]
"""For each table its entries by their ids."""


@dataclass(frozen=True, slots=True)
class Exported:
    """A block, with the entries that it holds."""

    block: Block
    entries: Entries


class ExportWriter:
    """Writes a file, which is there when the block of `with` has ended well, and not at all otherwise."""

    def __init__(self, file: Path, before: Link | None) -> None:
        """Describe it; `before` is the block before its first.

        Entering and all that follows raises `UsageError` where it cannot be written: an OSError would be taken for one
        of the database's connection, which is open meanwhile.
        """
        self._file, self._before = file, before

    def __enter__(self) -> Self:
        with files.named(self._file):
            self._draft = Draft(self._file)
        self._write(_line_before(self._before))
        return self

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        if kind is None:
            with files.named(self._file):
                self._draft.put()  # on the disk: what it holds is then dropped elsewhere
        else:
            self._draft.drop()

    def add(self, exported: Exported) -> None:
        """Add the next block."""
        self._write(_line(exported))

    def _write(self, line: str) -> None:
        with files.named(self._file):
            self._draft.write(line)


def before(file: Path) -> Link | None:
    """The block before the first of a file. Raises as `read` does."""
    with _opened(file) as lines:
        line = lines.readline()
        said = json.loads(line)
        found = None if said is None else Link(*_of_link(said))
        _require_same(line, _line_before(found))
        return found


def read(file: Path) -> Iterator[Exported]:
    """The blocks of a file, one at a time.

    Raises:
        UsageError: it cannot be read, or is no such file.
    """
    with _opened(file) as lines:
        lines.readline()
        for line in lines:
            exported = _exported(json.loads(line))
            _require_same(line, _line(exported))
            yield exported


@contextmanager
def _opened(file: Path) -> Iterator[TextIO]:
    try:
        with file.open(encoding="utf-8") as lines:
            yield lines
    except OSError as problem:
        raise UsageError(f"{file} cannot be read: {problem.strerror}.") from None
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        raise UsageError(f"{file} is no file of `prequal audit export`, or not as it was written.") from None


def _require_same(line: str, written: str) -> None:
    """Refuse what JSON lets pass: a name or an id twice, words that no digest is of, a time without a zone."""
    if line.rstrip("\n") != written.rstrip("\n"):
        raise ValueError("not as it was written")


def _line_before(link: Link | None) -> str:
    return json.dumps(link and _link(link)) + "\n"


def _line(exported: Exported) -> str:
    block = exported.block
    digests = [base64.b64encode(each).decode() for each in block.entries]
    entries = [[_entry(each) for each in found.values()] for found in exported.entries]
    said = _link(block) | {"key_id": block.key_id.hex(), "digests": digests, "entries": entries}
    return json.dumps(said) + "\n"


def _link(link: Link) -> dict[str, Any]:
    upto, at = [str(each) for each in link.upto], link.chained_at.isoformat()
    return {"number": link.number, "chained_at": at, "upto": upto, "mac": link.mac.hex()}


def _of_link(said: Mapping[str, Any]) -> tuple[int, datetime, tuple[int, ...], bytes]:
    upto = tuple(map(int, said["upto"]))
    if len(upto) != len(TABLES):
        raise ValueError("another record")
    return int(said["number"]), _time(said["chained_at"]), upto, bytes.fromhex(said["mac"])


def _entry(entry: Entry) -> dict[str, Any]:
    return {"id": str(entry.id), "occurred_at": entry.occurred_at.isoformat(), "fields": entry.fields}


def _of_entry(table: str, said: Mapping[str, Any]) -> Entry:
    fields = dict(said["fields"])
    if fields.keys() != COLUMNS[table] or any(is_deeper(each, LEVELS_MAX) for each in fields.values()):
        raise ValueError("another record")
    return Entry(int(said["id"]), _time(said["occurred_at"]), fields)


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _exported(said: Mapping[str, Any]) -> Exported:
    digests = tuple(base64.b64decode(each, validate=True) for each in said["digests"])
    block = Block(*_of_link(said), digests, bytes.fromhex(said["key_id"]))
    if len(digests) != len(TABLES):
        raise ValueError("another record")
    found = [
        [_of_entry(table, each) for each in entries] for table, entries in zip(TABLES, said["entries"], strict=True)
    ]
    return Exported(block, tuple({each.id: each for each in entries} for entries in found))
