"""Heads of the chain in files: later proof that the chain was at least so long.

Invariant: a file of a head is whole, or not there.
"""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import Final

import structlog

from prequal.core import files
from prequal.record.blocks import Link
from prequal.telemetry import metrics

MAC_BYTES: Final = 32
HEAD_EVERY: Final = timedelta(hours=1)

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Head:
    """A block that was there once: its number, from 1, and its MAC, 32 bytes."""

    number: int
    mac: bytes


class HeadsFolder:
    """A folder that gets the newest head each hour; one that cannot be written is tried again, and stops nothing."""

    def __init__(self, folder: Path | None, clock: Callable[[], float] = monotonic) -> None:
        """Without a folder nothing is written."""
        self._folder = folder
        self._clock = clock
        self._due_at: float | None = None
        self._written_at: datetime | None = None
        self._problem: str | None = None
        metrics.RECORD_HEAD_UNWRITTEN_AGE.set_function(self._unwritten_age)

    async def keep(self, head: Link | None) -> None:
        """Write the head, if an hour has gone since the last one; why it cannot be is logged once, until it changes."""
        written_at = self._written_at
        if self._folder is None or head is None or (written_at and head.chained_at - written_at < HEAD_EVERY):
            return
        self._due_at = self._clock() if self._due_at is None else self._due_at
        try:
            await asyncio.to_thread(write_head, head, self._folder / f"head-{head.number}.json")
        except OSError as problem:
            if problem.strerror != self._problem:
                log.warning("record_head_not_written", folder=str(self._folder), error=problem.strerror)
            self._problem = problem.strerror
        else:
            self._written_at, self._problem, self._due_at = head.chained_at, None, None

    def _unwritten_age(self) -> float:
        return 0 if self._due_at is None else self._clock() - self._due_at


def write_head(block: Link, file: Path) -> None:
    """Write a block's number and MAC; keep the file where the database's owner cannot reach it. Raises OSError."""
    said = {"number": block.number, "mac": block.mac.hex(), "chained_at": block.chained_at.isoformat()}
    files.write(file, json.dumps(said) + "\n", files.FOR_ALL)


def read_head(file: Path) -> Head:
    """The head of a file. Raises OSError, and ValueError for a file that holds none."""
    return head_of(file.read_text())


def head_of(text: str) -> Head:
    """The head that a file's text holds. Raises ValueError when it holds none."""
    try:
        said = json.loads(text)
        number, mac = said["number"], bytes.fromhex(said["mac"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ValueError("no head") from None
    if type(number) is not int or number < 1 or len(mac) != MAC_BYTES:
        raise ValueError("no head")
    return Head(number, mac)
