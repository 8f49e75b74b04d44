"""A whole `prequal up` in a folder, and whether a process is alive."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from harness.ports import free_ports
from harness.waiting import eventually

SERVICE_PORTS = {"API_PORT", "CREDIT_PORT", "DECISION_PORT", "PUBLISHER_PORT", "CONSOLE_PORT"}
PORT_SETTINGS = (
    "POSTGRES_PORT",
    "KAFKA_PORT",
    "KAFKA_CONTROLLER_PORT",
    "API_PORT",
    "CREDIT_PORT",
    "DECISION_PORT",
    "PUBLISHER_PORT",
    "CONSOLE_PORT",
    "ADMIN_PORT",
)

READY_WITHIN_SECONDS = 120
ENDS_WITHIN_SECONDS = 60
"""For a busy machine; on a free one 20 s and 15 s are promised."""


def is_alive(pid: int) -> bool:
    """Whether the process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def _is_ready(port: int) -> bool:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=2) as answer:
        return bool(answer.status == 200)


def _hang_up_by_default() -> None:
    """The tests may run under `nohup`, whose ignored SIGHUP a child would inherit."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


class Up:
    """`prequal up` in a folder of its own, with ports of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = dict(zip(PORT_SETTINGS, free_ports(len(PORT_SETTINGS)), strict=True))
        self.output = folder / "output"
        self.stdout: int | None = None
        self.process: subprocess.Popen[bytes] | None = None
        self._output_before = 0
        self._began = 0.0
        self.start_seconds = 0.0
        """How long the last start took, its demonstration included."""

    def start(self, **settings: str) -> "Up":
        self._began = time.monotonic()
        inherited = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        ports = {name: str(port) for name, port in self.ports.items()}
        with self.output.open("ab") as output:
            self._output_before = output.tell()
            self.process = subprocess.Popen(
                [sys.executable, "-m", "prequal", "up"],
                cwd=self.folder,
                env=inherited | ports | {"PYTHONFAULTHANDLER": "1"} | settings,
                stdin=subprocess.DEVNULL,
                stdout=self.stdout or output,
                stderr=output,
                preexec_fn=_hang_up_by_default,
            )
        return self

    def until_ready(self) -> "Up":
        """Wait until it serves and its demonstration is over."""
        try:
            eventually(
                lambda: (self.ready() and self.has_printed("Try next")) or not self.running,
                within=READY_WITHIN_SECONDS,
            )
        except AssertionError:
            pytest.fail(f"does not serve after {READY_WITHIN_SECONDS} s:\n{self.output.read_text()}")
        assert self.running, self.output.read_text()
        self.start_seconds = time.monotonic() - self._began
        return self

    def has_printed(self, text: str) -> bool:
        """Whether the text is in what it has printed since its last start."""
        return text.encode() in self.output.read_bytes()[self._output_before :]

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def ready(self) -> bool:
        """Whether all five services say so, and run.json names all seven processes."""
        services = [port for name, port in self.ports.items() if name in SERVICE_PORTS]
        try:
            return all(map(_is_ready, services)) and len(self.processes()) == 7
        except OSError:
            return False

    def processes(self) -> dict[str, dict[str, int]]:
        """What `run.json` names."""
        processes: dict[str, dict[str, int]] = self.run_file()["processes"]
        return processes

    def run_file(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.folder / ".prequal" / "run.json").read_text())
        return content

    def left(self) -> list[int]:
        """Running processes whose working folder is the data folder."""
        return [
            int(each.name) for each in Path("/proc").iterdir() if each.name.isdigit() and self._is_in_data_folder(each)
        ]

    def _is_in_data_folder(self, process: Path) -> bool:
        try:
            return (process / "cwd").readlink().is_relative_to(self.folder / ".prequal")
        except OSError:
            return False

    def end(self, with_signal: signal.Signals = signal.SIGINT) -> int:
        """Send the signal, and return the exit code; one that does not end prints the stack of each thread."""
        assert self.process is not None
        self.process.send_signal(with_signal)
        try:
            return self.process.wait(ENDS_WITHIN_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGABRT)
            self.process.wait()
            pytest.fail(f"did not end within {ENDS_WITHIN_SECONDS} s:\n{self.output.read_text()}")
