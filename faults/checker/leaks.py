"""Looks for PANs in the clear, and for unkeyed hashes of them, in files and in what the client was answered.

    python -m faults.checker.leaks /tmp/pans .prequal

Invariant: what was sent is looked for, byte by byte and in every form; nothing is passed over for its name or kind.
"""

import argparse
import base64
import hashlib
import re
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import hyperscan

PLANTED = "ZZZZZ9999Z"
PAN = re.compile("[A-Z]{5}[0-9]{4}[A-Z]", re.ASCII)
HASHES = ("sha256", "sha1", "md5", "sha512", "sha3_256", "blake2b")
SHORT_HASHES = (16, 32)
"""Bytes that BLAKE2b is usually cut to; it gives another hash for each length."""
HASH_BYTES = 16
"""Of a hash so much of the beginning is looked for: nothing else begins so, and who cuts it keeps as much."""
CHUNK_BYTES = 2**24
LONGEST = 32
"""Bytes of the longest form: half of SHA-256, hexadecimal."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A PAN that stood somewhere it should not: masked, for this is shown to people."""

    place: str
    masked: str
    form: str


def forms(pan: str) -> Iterator[tuple[str, bytes]]:
    """Every form that a PAN is looked for in, with the form's name."""
    plain = pan.encode()
    yield "as it is", plain
    yield "lower case", plain.lower()
    for order in ("utf-16-le", "utf-16-be"):
        yield order, pan.encode(order)
        yield f"{order}, lower case", pan.lower().encode(order)
    yield from _hexadecimal("hexadecimal", plain)
    for offset, partial in enumerate((0, 2, 3)):
        # What stands before and after the PAN decides the outermost digits: those are left out.
        yield f"base64 at offset {offset}", base64.b64encode(bytes(offset) + plain).rstrip(b"=")[partial:-1]
    for name, digest in _digests(plain):
        start = digest[:HASH_BYTES]
        yield f"{name}, raw", start
        yield from _hexadecimal(f"{name}, hexadecimal", start)
        # The last digit is cut off: it depends on what follows.
        yield f"{name}, base64", base64.b64encode(start).rstrip(b"=")[:-1]
        yield f"{name}, base64 for addresses", base64.urlsafe_b64encode(start).rstrip(b"=")[:-1]


def _digests(plain: bytes) -> Iterator[tuple[str, bytes]]:
    for name in HASHES:
        yield name, hashlib.new(name, plain, usedforsecurity=False).digest()
    for size in SHORT_HASHES:
        yield f"blake2b of {size} bytes", hashlib.blake2b(plain, digest_size=size).digest()


def _hexadecimal(name: str, content: bytes) -> Iterator[tuple[str, bytes]]:
    yield name, content.hex().encode()
    yield f"{name}, capitals", content.hex().upper().encode()


def masked(pan: str) -> str:
    """A PAN as people may see it."""
    return "XXXXX" + pan[5:]


def is_pan(text: str) -> bool:
    """Whether a text is a PAN; what is none, a client may send too, and nobody need hide it."""
    return bool(PAN.fullmatch(text))


class Patterns:
    """All forms of some PANs, looked for in one pass."""

    def __init__(self, pans: Mapping[str, str]) -> None:
        """Look for `pans`; each is spoken of by the name that it has there."""
        self._meaning: list[tuple[str, str]] = []
        contents: dict[bytes, int] = {}
        for pan, name in pans.items():
            for form, content in forms(pan):
                if content not in contents:
                    contents[content] = len(self._meaning)
                    self._meaning.append((name, form))
        self._database = hyperscan.Database()
        if contents:
            self._database.compile(
                expressions=[b"".join(b"\\x%02x" % byte for byte in content) for content in contents],
                ids=list(contents.values()),
                flags=[hyperscan.HS_FLAG_SINGLEMATCH] * len(contents),
            )

    def within(self, content: bytes) -> list[tuple[str, str]]:
        """What stands in `content`: the PAN's name and form, each once."""
        hits: list[tuple[str, str]] = []

        def hit(number: int, *_: object) -> None:
            hits.append(self._meaning[number])

        if self._meaning and content:
            self._database.scan(content, match_event_handler=hit)
        return hits


Seen: TypeAlias = tuple[int, int, int]


class Search:
    """A search of folders that goes on from run to run: a file that has not changed since is not read again.

    Sound as long as each run's PANs are drawn when it begins: what was written before cannot hold them.
    """

    def __init__(self, *folders: Path, leave_out: Iterable[Path] = ()) -> None:
        self._folders = folders
        self._left_out = frozenset(path.absolute() for path in leave_out)
        self._seen: dict[Path, Seen] = {}
        self.bytes_read = 0

    def remember(self) -> None:
        """Take what is there now as seen: nothing of a run that begins now can be in it."""
        self._seen = dict(self._files())

    def files(self, patterns: Patterns) -> list[Finding]:
        """What stands in files that are new or changed since they were last looked at."""
        findings = []
        for path, seen in self._files():
            if self._seen.get(path) != seen:
                with suppress(FileNotFoundError):  # the store has just removed it
                    hits = {hit: None for chunk in _chunks(path) for hit in patterns.within(chunk)}
                    findings += [Finding(str(path), *hit) for hit in hits]
                self._seen[path] = seen
                self.bytes_read += seen[0]
        return findings

    def _files(self) -> Iterator[tuple[Path, Seen]]:
        for folder in self._folders:
            for path in sorted(folder.rglob("*")):
                with suppress(FileNotFoundError):
                    if path.is_file() and path.absolute() not in self._left_out and (about := path.stat()).st_size:
                        yield path, (about.st_size, about.st_mtime_ns, about.st_ino)


def in_texts(patterns: Patterns, texts: Mapping[str, bytes]) -> list[Finding]:
    """What stands in texts, by the names of their places."""
    return [Finding(place, *hit) for place, text in texts.items() for hit in patterns.within(text)]


def _chunks(path: Path) -> Iterator[bytes]:
    """A file in parts that overlap, so that what straddles two stands whole in the second.

    Read, not mapped: a store may cut its file short meanwhile, and who has mapped it dies of that.
    """
    tail = b""
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield tail + chunk
            tail = chunk[-LONGEST:]


def main() -> None:
    """Look for the PANs in a file, one a line, under a folder; exit code 1 when there are any.

    A PAN planted in a file of its own must be found, or the search proves nothing.
    """
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("pans", type=Path)
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    if not arguments.pans.is_file() or not arguments.folder.is_dir():
        parser.error(f"{arguments.pans} must be a file, and {arguments.folder} a folder")
    pans = arguments.pans.read_text().split()
    folder = arguments.folder.absolute()
    search = Search(folder, leave_out=[arguments.pans])
    with tempfile.NamedTemporaryFile(dir=folder, prefix="planted.") as planted:
        planted.write(PLANTED.encode())
        planted.flush()
        findings = search.files(Patterns({pan: masked(pan) for pan in (*pans, PLANTED)}))
    leaked = [finding for finding in findings if finding.place != planted.name]
    control = "found" if len(leaked) < len(findings) else "MISSED"
    read = f"{search.bytes_read / 2**20:.0f} MiB"
    print(f"{len(pans)} PANs looked for in {read}: {len(leaked)} findings; the planted one: {control}")
    for finding in leaked:
        print(f"  {finding.masked} ({finding.form}) in {finding.place}")
    sys.exit(bool(leaked) or control == "MISSED")


if __name__ == "__main__":
    main()
