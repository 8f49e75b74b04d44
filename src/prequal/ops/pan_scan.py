"""Looks for PANs, and for hashes of them without a key, in files that should hold none.

Invariant: a file that could not be read is named, and no finding shows more of a PAN than its mask.
"""

import os
import random
import re
import stat
import string
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from prequal.core.errors import Misconfigured
from prequal.domain.pan import MASK, Pan
from prequal.domain.pan_detection import pan_positions, redact
from prequal.security.pan_forms import forms

CHUNK_BYTES = 2**22
CONTEXT_BYTES = 128
"""Each match is judged with as many bytes on both sides: more than the longest form, and than the longest id."""
HEAD_BYTES = 2**16
SHAPE = "shape of a PAN"
_CANDIDATE = re.compile(rb"[A-Za-z]{5}(?=[0-9]{4}[A-Za-z])")
_CONTROLS = bytes(byte for byte in range(32) if chr(byte) not in "\t\n\f\r\x1b")


@dataclass(frozen=True, slots=True)
class Finding:
    """A PAN in a file: `offset` is in bytes from its beginning."""

    file: str
    offset: int
    form: str
    pan_masked: str


@dataclass(slots=True)
class Scan:
    """What was looked at; `text_files` are those in which PANs that nobody named are found by their shape."""

    files: int = 0
    text_files: int = 0
    bytes_read: int = 0
    findings: int = 0
    unreadable: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Window:
    """A part of a file that overlaps its neighbours; matches that begin in `owned` belong to it and to no other."""

    content: bytes
    offset: int
    owned: range


class PanSearch:
    """Given PANs in all their forms, and whatever has the shape of a PAN, in the parts of a file."""

    def __init__(self, pans: Iterable[Pan] = (), *, shapes_in_binary: bool = False) -> None:
        """Look for `pans`; by shape in text files, and in the others with `shapes_in_binary`."""
        self._given = {content: (form, pan.masked) for pan in pans for content, form in forms(pan.reveal()).items()}
        self._shapes_in_binary = shapes_in_binary

    def in_window(self, window: Window, *, text: bool) -> Iterator[tuple[int, str, str]]:
        """Offset, form and mask of each match that belongs to `window`, in the order of the offsets."""
        matches = _shapes(window.content) if text or self._shapes_in_binary else {}
        for content, meaning in self._given.items():
            matches |= dict.fromkeys(_positions(window.content, content), meaning)
        for position in sorted(matches):
            if window.offset + position in window.owned:
                yield window.offset + position, *matches[position]


def scan(paths: Iterable[Path], search: PanSearch, show: Callable[[Finding], None]) -> Scan:
    """Search files, and all files below folders, links included; each finding goes to `show` at once.

    A file that is removed meanwhile is passed over: PostgreSQL and Kafka remove theirs at any time.
    """
    done = Scan()
    for path in paths:
        for file in files_below(path, lambda error: done.unreadable.append(redact(str(error.filename)))):
            try:
                _scan_file(file, search, show, done)
            except FileNotFoundError:
                continue
            except OSError:
                done.unreadable.append(redact(str(file)))
    return done


def check_control() -> int:
    """Plant a random PAN in temporary files and search those; returns the number of forms that were found.

    Raises:
        Misconfigured: one was not found, so a search that finds nothing proves nothing.
    """
    pan = _random_pan()
    planted = forms(pan.reveal())
    with tempfile.TemporaryDirectory(prefix="prequal-scan-") as folder:
        Path(folder, "planted.log").write_bytes(b"pan=" + pan.reveal().encode())
        Path(folder, "planted").write_bytes(b"\0" + b"\0".join(planted))
        found: list[Finding] = []
        scan([Path(folder, "planted.log")], PanSearch(), found.append)
        scan([Path(folder, "planted")], PanSearch([pan]), found.append)
    missed = {SHAPE, *planted.values()} - {finding.form for finding in found if finding.pan_masked == pan.masked}
    if missed:
        raise Misconfigured(f"The search misses a PAN that it planted itself ({min(missed)}): do not trust it.")
    return len(planted) + 1


def files_below(path: Path, on_error: Callable[[OSError], None]) -> Iterator[Path]:
    """`path` itself if it is no folder, else all that is below it but folders; a folder that is linked to is one."""
    if not path.is_dir():
        yield path
    seen = set()
    for folder, below, names in os.walk(path, onerror=on_error, followlinks=True):
        with suppress(FileNotFoundError):
            about = Path(folder).stat()
            if (about.st_dev, about.st_ino) in seen:  # a link to a folder above, or a second one to the same
                below.clear()
                continue
            seen.add((about.st_dev, about.st_ino))
        below.sort()
        yield from (Path(folder, name) for name in sorted(names))


def windows(path: Path) -> Iterator[Window]:
    """A file in parts that overlap, so that what straddles two stands whole in one.

    Read, not mapped: a store may cut its file short meanwhile, and a process that has mapped it dies of that.
    """
    content, offset, owned = b"", 0, 0
    with path.open("rb") as file:
        while True:
            chunk = file.read(CHUNK_BYTES)
            content += chunk
            end = max(owned, offset + len(content) - (CONTEXT_BYTES if chunk else 0))
            yield Window(content, offset, range(owned, end))
            if not chunk:
                return
            overlap = content[-2 * CONTEXT_BYTES :]
            content, offset, owned = overlap, offset + len(content) - len(overlap), end


def _scan_file(path: Path, search: PanSearch, show: Callable[[Finding], None], done: Scan) -> None:
    if not stat.S_ISREG(path.stat().st_mode):
        return
    name, text = redact(str(path)), None
    for window in windows(path):
        if text is None:
            text = _is_text(window.content[:HEAD_BYTES])
        for match in search.in_window(window, text=text):
            show(Finding(name, *match))
            done.findings += 1
        done.bytes_read += len(window.owned)
    done.files += 1
    done.text_files += bool(text)


def _is_text(head: bytes) -> bool:
    """Whether a file that begins so is text in an encoding that has ASCII's letters as single bytes."""
    controls = len(head) - len(head.translate(None, _CONTROLS))
    return b"\0" not in head and controls * 100 <= len(head)


def _shapes(content: bytes) -> dict[int, tuple[str, str]]:
    return {
        at: (SHAPE, MASK + content[at + 5 : at + 10].decode())
        for at in (match.start() for match in _CANDIDATE.finditer(content))
        if _has_pan_at(content, at)
    }


def _has_pan_at(content: bytes, at: int) -> bool:
    """Whether a candidate is none by chance, within an id: its neighbouring bytes say."""
    start = max(0, at - CONTEXT_BYTES)
    around = content[start : at + CONTEXT_BYTES].decode("latin-1")  # a character a byte
    return at - start in pan_positions(around)


def _positions(content: bytes, wanted: bytes) -> Iterator[int]:
    # Five times as fast as one regular expression of all forms.
    at = content.find(wanted)
    while at >= 0:
        yield at
        at = content.find(wanted, at + 1)


def _random_pan() -> Pan:
    chance = random.SystemRandom()
    *letters, last = (chance.choice(string.ascii_uppercase) for _ in range(6))
    return Pan(f"{''.join(letters)}{chance.randrange(10_000):04}{last}")
