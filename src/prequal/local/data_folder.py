"""The one folder that everything on this machine writes to, locked by one process.

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

LEFTOVER_SECONDS = 5.0
"""How long a process that a killed `up` left may take to stop before it is killed."""


class DataFolder:
    """The paths in the data folder."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.run_file = self.path / "run.json"
        self.keys = self.path / "keys.env"
        self.logins = self.path / "logins.json"
        self.people = self.path / "people.txt"
        self.postgres = self.path / "postgres"
        self.kafka = self.path / "kafka"
        self.prometheus = self.path / "prometheus"

    def log(self, name: str) -> Path:
        """The log of the child called `name`."""
        return self.path / "logs" / f"{name}.log"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the folder for this process, and end the processes that a killed one left in it.

        Raises:
            Misconfigured: another process has locked it, or it cannot be written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = (self.path / "lock").open("a+")
        except OSError as problem:
            raise Misconfigured(
                f"The data folder {self.path} cannot be used ({problem.strerror}): set PREQUAL_DATA_DIR to another one"
            ) from None
        with lock:
            _lock(lock.fileno(), self.path)
            self._end_leftovers()
            try:
                yield
            finally:
                self.run_file.unlink(missing_ok=True)

    def _end_leftovers(self) -> None:
        """End the processes of a killed `up` that outlived it, after making sure that they are ours."""
        leftover = run_file.read(self.run_file)
        pids = [process.pid for process in leftover.processes.values()] if leftover else []
        for signal_number, seconds in ((signal.SIGTERM, LEFTOVER_SECONDS), (signal.SIGKILL, LEFTOVER_SECONDS)):
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
        """Process ids are reused; ours have their working folder here (Linux), or the folder in their command line."""
        if Path("/proc/self/cwd").exists():
            with suppress(OSError):
                return self._works_here(Path("/proc", str(pid)))
            return False
        listing = subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False)
        return str(self.path) in listing.stdout or "-m prequal" in listing.stdout

    def _works_here(self, process: Path) -> bool:
        folders = [each.resolve() for each in (self.path, self.postgres, self.kafka)]  # any may be a symbolic link
        try:
            return any(map((process / "cwd").readlink().is_relative_to, folders))
        except PermissionError:  # a service lets nobody look into it
            return b"\0-m\0prequal\0" in (process / "cmdline").read_bytes()


def _lock(lock: int, path: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise Misconfigured(
            f"Another `prequal up` works in {path}: stop it, or set PREQUAL_DATA_DIR (and the ports) for a second copy"
        ) from None
