"""A system that runs: where its stores are, which processes it has, and the key its PANs are hashed with.

Invariant: nothing of the service's code is used; what it says of itself is in these two files.
"""

import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from harness.keys import DRAW_KEYS, PAN_HASH_KEYS, Unknown, key


@dataclass(frozen=True, slots=True)
class Process:
    """One worker: its process id, and its port on 127.0.0.1."""

    pid: int
    port: int


@dataclass(frozen=True, slots=True, repr=False)
class JudgedSystem:
    """What `run.json` names, the folder that everything is kept in, and the keys of the PANs' hashes and of draws."""

    database_url: str
    bootstrap_servers: str
    processes: Mapping[str, Process]
    folder: Path
    pan_hash_key: bytes
    draw_key: bytes
    asks_bureau: bool = False
    """Whether the scores are the simulated bureau's own, asked over HTTP."""

    @classmethod
    def of(cls, run_file: Path) -> Self:
        """The system that wrote `run_file`; its keys are the environment's, or those of `keys.env` beside the file.

        Raises:
            Unknown: there is no such file, or no key.
        """
        try:
            running = json.loads(run_file.read_text())
            processes = {name: Process(each["pid"], each["port"]) for name, each in running["processes"].items()}
            stores = running["database_url"], running["kafka_bootstrap_servers"]
        except (OSError, ValueError, KeyError) as error:
            raise Unknown(f"{run_file} does not name a system that runs ({type(error).__name__})") from None
        keys = run_file.with_name("keys.env")
        return cls(*stores, processes, run_file.parent, key(keys, PAN_HASH_KEYS), key(keys, DRAW_KEYS))

    def pan_hash(self, pan: str) -> str:
        """What the service is to store in place of a PAN."""
        return hmac.digest(self.pan_hash_key, pan.encode(), "sha256").hex()
