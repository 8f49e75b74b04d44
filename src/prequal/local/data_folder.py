"""The one folder that everything on this machine writes to, and who may use it.

Invariant: at most one `prequal up` at a time works in a folder.
"""

import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from prequal.core.errors import Misconfigured
from prequal.local import run_file

CLEARING_SECONDS = 5.0
"""How long what a killed `up` left may take to stop before it is killed."""


class DataFolder:
    """Names of what lies in the data folder."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.run_file = self.path / "run.json"
        self.keys = self.path / "keys.env"
        self.postgres = self.path / "postgres"
        self.kafka = self.path / "kafka"
        self.prometheus = self.path / "prometheus"

    def log(self, name: str) -> Path:
        """Where the child called `name` writes."""
        return self.path / "logs" / f"{name}.log"

    @contextmanager
    def occupied(self) -> Iterator[None]:
        """Hold the folder for this process alone, and clear what a killed one left in it.

        Raises:
            Misconfigured: another process holds it, or it cannot be written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = (self.path / "lock").open("a+")
        except OSError as problem:
            raise Misconfigured(
                f"The data folder {self.path} cannot be used ({problem.strerror}): set PREQUAL_DATA_DIR to another one"
            ) from None
        with lock:
            _hold(lock.fileno(), self.path)
            self._clear()
            try:
                yield
            finally:
                self.run_file.unlink(missing_ok=True)

    def _clear(self) -> None:
        """Stop the processes that a killed `up` could not take along, after making sure that they are ours."""
        left = run_file.read(self.run_file)
        pids = [process.pid for process in left.processes.values()] if left else []
        for signal_number, seconds in ((signal.SIGTERM, CLEARING_SECONDS), (signal.SIGKILL, CLEARING_SECONDS)):
            self._end([pid for pid in pids if self._is_ours(pid)], signal_number, seconds)
        self.run_file.unlink(missing_ok=True)

    def _end(self, pids: list[int], signal_number: signal.Signals, seconds: float) -> None:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal_number)
        deadline = time.monotonic() + seconds
        while any(map(self._is_ours, pids)) and time.monotonic() < deadline:
            time.sleep(0.05)

    def _is_ours(self, pid: int) -> bool:
        """A process id is used again for anything; ours work in this folder (Linux), or are named by it."""
        if Path("/proc/self/cwd").exists():
            with suppress(OSError):
                return Path(f"/proc/{pid}/cwd").readlink().is_relative_to(self.path)
            return False
        listing = subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False)
        return str(self.path) in listing.stdout or "-m prequal" in listing.stdout


def _hold(lock: int, path: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise Misconfigured(
            f"Another `prequal up` works in {path}: stop it, or set PREQUAL_DATA_DIR (and the ports) for a second copy"
        ) from None
