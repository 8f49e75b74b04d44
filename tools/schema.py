"""`python -m tools.schema` writes `src/prequal/schema/schema.sql`: the tables in one file, for reading.

Invariant: the migrations alone are run; the file is what they make of an empty database, and a test compares it.
"""

import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

from harness.ports import free_port
from harness.stores import started
from prequal.local.postgres import Postgres, binary
from prequal.schema.migrate import upgrade
from tools.documents import write

FILE = Path("src/prequal/schema/schema.sql")
HEAD = "-- Written by `make documents` from the migrations, for reading. Not run: `prequal migrate` makes the tables.\n"
DAYS_OF_ARCHIVE = "outbox_archive_2*"
"""The partitions of `outbox_archive`, which are made day by day."""
NOISE = ("--", "\\", "SET ", "SELECT pg_catalog.set_config")
"""Beginnings of lines by which pg_dump prepares a session, or names what the next statement says itself."""


def dump(database_url: str) -> str:
    """The statements that make the tables of a migrated database, in pg_dump's order."""
    command: list[str | Path] = [
        binary("pg_dump"), "--schema-only", "--no-owner", "--no-privileges", "--restrict-key=prequal",
        f"--exclude-table={DAYS_OF_ARCHIVE}", f"--dbname={database_url}",
    ]  # fmt: skip
    dumped = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return HEAD + _one_blank_line(line for line in dumped.splitlines() if not line.startswith(NOISE))


def _one_blank_line(lines: Iterable[str]) -> str:
    paragraphs = "\n".join(lines).split("\n\n")
    return "".join(f"\n{paragraph.strip()}\n" for paragraph in paragraphs if paragraph.strip())


def main() -> None:
    """Start a server of its own, migrate it, and write what was made."""
    with tempfile.TemporaryDirectory() as folder, started(Postgres(Path(folder) / "data", free_port())) as server:
        upgrade(server.database_url)
        written = write(Path.cwd(), {FILE: dump(server.database_url)})
    print(f"Written: {FILE}" if written else f"{FILE} is up to date.")  # noqa: T201


if __name__ == "__main__":
    main()
