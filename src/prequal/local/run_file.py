"""`run.json`: the running processes and stores, for people, tests and the next start.

Invariant: it is replaced atomically and only its owner may read it, because it holds the database's password.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from prequal.core import files


@dataclass(frozen=True)
class Process:
    """A worker: its process id, and its port on 127.0.0.1."""

    pid: int
    port: int


@dataclass(frozen=True)
class RunFile:
    """Everything that runs; `processes` by the names postgres, kafka, api, credit, decision, publisher."""

    database_url: str
    kafka_bootstrap_servers: str
    processes: dict[str, Process]

    def write(self, file: Path) -> None:
        """Replace `file`."""
        files.write(file, json.dumps(asdict(self), indent=2) + "\n")


def read(file: Path) -> RunFile | None:
    """The content of `file`; None when there is none that this user may read, or it is not one of ours."""
    try:
        content = json.loads(file.read_text())
        processes = {name: Process(entry["pid"], entry["port"]) for name, entry in content["processes"].items()}
        return RunFile(content["database_url"], content["kafka_bootstrap_servers"], processes)
    except (FileNotFoundError, PermissionError, ValueError, KeyError, TypeError, AttributeError):
        return None
