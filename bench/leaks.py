"""Look for PANs in the clear under a folder: data, WAL, Kafka segments, logs.

    python -m bench.load --burst 20000 --pans /tmp/pans
    python -m bench.leaks /tmp/pans .prequal

Searched for are the PANs that were sent, as ASCII, lower case, UTF-16, base64 at its three offsets and hexadecimal, and
their unkeyed SHA-256. A PAN planted in a file of its own must be found, or the search proves nothing.
"""

import argparse
import base64
import mmap
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

PLANTED = "ZZZZZ9999Z"
UTF_16 = re.compile(rb"(?:[A-Z]\0){5}(?:[0-9]\0){4}[A-Z]")


def disguises(pan: str) -> Iterator[str]:
    """Every form of a PAN that is text."""
    plain = pan.encode()
    yield from (pan, pan.lower(), plain.hex(), plain.hex().upper(), sha256(plain).hexdigest())
    for offset in range(3):
        encoded = base64.b64encode(b"\0" * offset + plain).decode().rstrip("=")
        yield encoded[(0, 2, 3)[offset] : -1]


def as_text(pans: list[str], folder: Path) -> set[Path]:
    """The files that hold a PAN in a form that is text."""
    with tempfile.NamedTemporaryFile("w", suffix=".patterns") as patterns:
        patterns.write("".join(f"{form}\n" for pan in pans for form in disguises(pan)))
        patterns.flush()
        command = [
            "grep",
            "--recursive",
            "--text",
            "--files-with-matches",
            "--fixed-strings",
            f"--file={patterns.name}",
        ]
        found = subprocess.run([*command, str(folder)], capture_output=True, text=True, check=False)
    return {Path(line) for line in found.stdout.splitlines()}


def as_utf_16(pans: list[str], folder: Path) -> set[Path]:
    """The files that hold a PAN in UTF-16."""
    wanted = {pan.encode("utf-16-le")[:-1] for pan in pans}
    hits = set()
    for path in files(folder):
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            if any(match[0] in wanted for match in UTF_16.finditer(content)):
                hits.add(path)
    return hits


def files(folder: Path) -> Iterator[Path]:
    """Every file with something in it."""
    return (path for path in sorted(folder.rglob("*")) if path.is_file() and path.stat().st_size)


def main() -> None:
    """Search, with the planted PAN as the control."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pans", type=Path)
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    pans = [*arguments.pans.read_text().split(), PLANTED]
    size = sum(path.stat().st_size for path in files(arguments.folder))
    with tempfile.NamedTemporaryFile(dir=arguments.folder, prefix="planted.") as planted:
        planted.write(f"before {PLANTED} between ".encode() + PLANTED.encode("utf-16-le"))
        planted.flush()
        text, wide = as_text(pans, arguments.folder), as_utf_16(pans, arguments.folder)
        control = Path(planted.name)
    found = control in text and control in wide
    print(
        f"{len(pans) - 1} PANs looked for in {size / 2**20:.0f} MiB; the planted one: {'found' if found else 'MISSED'}"
    )
    for path in sorted((text | wide) - {control}):
        print(f"  in the clear: {path}")
    sys.exit(bool((text | wide) - {control}) or not found)


if __name__ == "__main__":
    main()
