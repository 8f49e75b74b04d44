"""A system that runs: where its stores are, which processes it has, and the key its PANs are hashed with.

Invariant: nothing of the service's code is used; what it says of itself is in these two files.
"""

import base64
import hmac
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

PAN_HASH_KEY = "PAN_HASH_KEY"


class Unknown(Exception):
    """The system does not say what the checker must know."""


@dataclass(frozen=True, slots=True)
class Process:
    """One worker: its process id, and its port on 127.0.0.1."""

    pid: int
    port: int


@dataclass(frozen=True, slots=True, repr=False)
class JudgedSystem:
    """What `run.json` names, the folder that everything is kept in, and the key of the PANs' hashes."""

    database_url: str
    bootstrap_servers: str
    processes: Mapping[str, Process]
    folder: Path
    pan_hash_key: bytes

    @classmethod
    def of(cls, run_file: Path) -> Self:
        """The system that wrote `run_file`; its key is the environment's, or that of `keys.env` beside the file.

        Raises:
            Unknown: there is no such file, or no key.
        """
        try:
            running = json.loads(run_file.read_text())
            processes = {name: Process(each["pid"], each["port"]) for name, each in running["processes"].items()}
            stores = running["database_url"], running["kafka_bootstrap_servers"]
        except (OSError, ValueError, KeyError) as error:
            raise Unknown(f"{run_file} does not name a system that runs ({type(error).__name__})") from None
        return cls(*stores, processes, run_file.parent, _key(run_file.with_name("keys.env")))

    def pan_hash(self, pan: str) -> str:
        """What the service is to store in place of a PAN."""
        return hmac.digest(self.pan_hash_key, pan.encode(), "sha256").hex()


def _key(file: Path) -> bytes:
    lines = file.read_text().splitlines() if file.exists() else []
    pairs = dict(line.split("=", 1) for line in lines if "=" in line)
    text = os.environ.get(PAN_HASH_KEY) or pairs.get(PAN_HASH_KEY)
    if not text:
        raise Unknown(f"{PAN_HASH_KEY} is neither in the environment nor in {file}")
    return base64.b64decode(text)
