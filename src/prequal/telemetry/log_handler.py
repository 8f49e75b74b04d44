"""The log's way out of the process: standard output, as long as it is read.

Invariant: logging waits for nobody and never fails; what nobody takes is kept up to a bound, then given up and counted.
"""

import io
import logging
import os
import select
import sys
from collections import deque
from typing import TextIO

KEPT_MAX = 1000
"""Lines that wait for a reader who has stopped reading."""
PIECE_BYTES = 4096
"""So much a pipe takes at once when it says that it can be written to (PIPE_BUF)."""


class NonBlockingHandler(logging.Handler):
    """Writes a line when its reader takes it; says once on standard error that none does, and later how many were lost.

    A record that cannot be rendered costs its line; the standard library would print it, unredacted.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream
        self._kept: deque[bytes] = deque()
        self._given_up = 0
        self._is_reported = False

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record's line after those that still wait, as far as they are taken."""
        try:
            if self._given_up and self._write_out():
                self._keep(_how_many(self._given_up))
                self._given_up = 0
            self._keep(record)
            self._write_out()
        except (OSError, ValueError):  # the reader is gone, or the stream closed
            self._give_up(len(self._kept))
            self._kept.clear()

    def flush(self) -> None:
        """Write what is taken now."""
        try:
            self._write_out()
        except (OSError, ValueError):
            self._kept.clear()

    def _keep(self, record: logging.LogRecord) -> None:
        if len(self._kept) >= KEPT_MAX:
            self._give_up(1)
            return
        try:
            self._kept.append(f"{self.format(record)}\n".encode())
        except Exception:
            self._give_up(1)

    def _give_up(self, lines: int) -> None:
        self._given_up += lines
        if not self._is_reported:
            self._is_reported = True
            _say(f"Log lines of {sys.argv[0]} are not taken and will be lost; the service works on.\n")

    def _write_out(self) -> bool:
        """Write while somebody takes it; whether nothing waits any more."""
        while self._kept and _is_taken(self._stream):
            line = self._kept.popleft()
            if rest := line[_put(self._stream, line[:PIECE_BYTES]) :]:
                self._kept.appendleft(rest)
        return not self._kept


def _how_many(lines: int) -> logging.LogRecord:
    record = logging.LogRecord("prequal", logging.WARNING, __file__, 0, "log_lines_lost", None, None)
    record.count = lines
    return record


def _is_taken(stream: TextIO) -> bool:
    """Whether a piece can be written without waiting."""
    try:
        return bool(select.select([], [stream.fileno()], [], 0)[1])
    except io.UnsupportedOperation:  # memory
        return True


def _put(stream: TextIO, piece: bytes) -> int:
    """Write a piece; how many bytes of it were taken."""
    try:
        return os.write(stream.fileno(), piece)
    except io.UnsupportedOperation:
        stream.write(piece.decode())
        return len(piece)


def _say(words: str) -> None:
    try:
        if _is_taken(sys.stderr):
            _put(sys.stderr, words.encode())
    except (OSError, ValueError):
        return
