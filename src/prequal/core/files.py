"""Files that are whole, or as they were before: written beside, brought to the disk, and put in their place.

Invariant: before a caller goes on, what he wrote is on the disk under its name.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from prequal.core.errors import UsageError

FOR_ITS_OWNER: Final = 0o600
FOR_ALL: Final = 0o666
"""As far as the umask allows."""
NOT_TO_BE_SYNCED: Final = {errno.EACCES, errno.EBADF, errno.EINVAL}
"""Errors of folders that this user may not read, or whose file system has no such thing."""


class Draft:
    """A text file in the making, in UTF-8; nothing has its name before `put`."""

    def __init__(self, file: Path, mode: int = FOR_ITS_OWNER) -> None:
        """Begin it; a draft that was left is removed. This, `write` and `put` raise OSError."""
        if not file.name:
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(file))
        self._file = file
        self._draft = file.with_name(f".{file.name}.new")
        self._draft.unlink(missing_ok=True)
        descriptor = os.open(self._draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        self._out = os.fdopen(descriptor, "w", encoding="utf-8")

    def write(self, text: str) -> None:
        """Add to it."""
        self._out.write(text)

    def put(self) -> None:
        """Have it take the file's place; what cannot be put is dropped."""
        try:
            self._out.flush()
            os.fsync(self._out.fileno())
            self._out.close()
            self._draft.replace(self._file)
        except BaseException:
            self.drop()
            raise
        _sync(self._file.parent)

    def drop(self) -> None:
        """Have it not be there."""
        with suppress(OSError):
            self._out.close()
        with suppress(OSError):
            self._draft.unlink(missing_ok=True)


@contextmanager
def named(file: Path) -> Iterator[None]:
    """For a file that a person gave, and work on nothing else.

    Raises:
        UsageError: the block raised OSError: which file, and what the system says.
    """
    try:
        yield
    except OSError as problem:
        raise UsageError(f"{file} cannot be written: {problem.strerror}.") from None


def write(file: Path, text: str, mode: int = FOR_ITS_OWNER) -> None:
    """Write a file in place of the one before. Raises OSError, and then the one before is still there."""
    draft = Draft(file, mode)
    try:
        draft.write(text)
    except BaseException:
        draft.drop()
        raise
    draft.put()


def _sync(folder: Path) -> None:
    """Bring the names in a folder to the disk, where its file system can."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as problem:
        if problem.errno not in NOT_TO_BE_SYNCED:
            raise
