"""Heads of the chain in files: what proves later that the chain was at least so long.

Invariant: a file of a head is whole, or not there.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from prequal.core import files
from prequal.record.blocks import Link

MAC_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Head:
    """A block that was there once: its number, from 1, and its MAC, 32 bytes."""

    number: int
    mac: bytes


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
