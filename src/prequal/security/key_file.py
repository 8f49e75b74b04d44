"""The key ring as a file, so that keys change under processes that run: one active key, others decrypt only.

    active BASE64                   the key itself
    decrypts vault vault:v1:…       or the key as a key service wrapped it

Invariant: a file that is not a whole ring, or that others than its owner may read, is no ring at all.
"""

import base64
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from pydantic import SecretStr

from prequal.core import files
from prequal.core.errors import Misconfigured
from prequal.core.key_sources import KeySource
from prequal.core.keys import key_bytes

ACTIVE: Final = "active"
DECRYPTS: Final = "decrypts"
FOR_OTHERS: Final = 0o077


@dataclass(frozen=True, slots=True, repr=False)
class WrappedKey:
    """A key that only the key service that wrapped it can unwrap; `text` is one word."""

    source: KeySource
    text: str


StoredKey: TypeAlias = bytes | WrappedKey
"""A key as it is stored in the file of a ring."""


@dataclass(frozen=True, slots=True, repr=False)
class RingKeys:
    """The key that encrypts, and those that decrypt only."""

    active: StoredKey
    decrypting: tuple[StoredKey, ...] = ()

    @property
    def every(self) -> tuple[StoredKey, ...]:
        """All keys, the active one first."""
        return self.active, *self.decrypting

    @property
    def source(self) -> KeySource | None:
        """The key service that wrapped the active key, if one did."""
        return self.active.source if isinstance(self.active, WrappedKey) else None

    @property
    def sources(self) -> frozenset[KeySource]:
        """The key services that are needed to use it."""
        return frozenset(key.source for key in self.every if isinstance(key, WrappedKey))


def read(path: Path) -> RingKeys:
    """The ring in the file.

    Raises:
        Misconfigured: it cannot be read, others may read it, or it is no ring.
    """
    try:
        mode = path.stat().st_mode
        lines = path.read_text("ascii").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured(f"The key ring {path} cannot be read: {type(error).__name__}.") from None
    if mode & FOR_OTHERS:
        raise Misconfigured(f"The key ring {path} may be used by others than its owner: chmod 600 {path}.")
    return _ring(path, [line.split() for line in lines if line.strip() and not line.startswith("#")])


def write(path: Path, ring: RingKeys) -> None:
    """Replace the ring in the file atomically, mode 0600.

    Raises:
        Misconfigured: it cannot be written.
    """
    lines = [(ACTIVE, ring.active), *((DECRYPTS, key) for key in ring.decrypting)]
    text = "".join(f"{state} {words_of(key)}\n" for state, key in lines)
    try:
        files.write(path, text)
    except OSError as error:
        raise Misconfigured(f"The key ring {path} cannot be written: {os.strerror(error.errno or 0)}.") from None


def words_of(key: StoredKey) -> str:
    """A key as a line of the file spells it, after its state."""
    return f"{key.source} {key.text}" if isinstance(key, WrappedKey) else base64.b64encode(key).decode()


def _ring(path: Path, lines: Sequence[Sequence[str]]) -> RingKeys:
    if not all(_is_good(words) for words in lines):
        raise Misconfigured(f"The key ring {path} has a line that is neither `{ACTIVE} KEY` nor `{DECRYPTS} KEY`.")
    try:
        keys = [(words[0], _stored(words[1:])) for words in lines]
    except ValueError as error:
        raise Misconfigured(f"A key of the key ring {path} {error}.") from None
    if len({key for _, key in keys}) < len(keys):
        raise Misconfigured(f"The key ring {path} holds a key twice.")
    active = [key for state, key in keys if state == ACTIVE]
    if len(active) != 1:
        raise Misconfigured(f"The key ring {path} has {len(active)} active keys: exactly one encrypts.")
    return RingKeys(active[0], tuple(key for state, key in keys if state == DECRYPTS))


def _is_good(words: Sequence[str]) -> bool:
    """Whether a line is a state and a key, wrapped or not."""
    return words[0] in (ACTIVE, DECRYPTS) and (len(words) == 2 or (len(words) == 3 and words[1] in list(KeySource)))


def _stored(words: Sequence[str]) -> StoredKey:
    return key_bytes(SecretStr(words[0])) if len(words) == 1 else WrappedKey(KeySource(words[0]), words[1])
