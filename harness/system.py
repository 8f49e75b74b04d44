"""The real processes, `python -m prequal …`, as children that never outlive the tests."""

import json
import signal
import subprocess
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import httpx

from harness.applications import drawn
from harness.ports import free_ports
from harness.waiting import PATIENCE_SECONDS, eventually
from prequal.local import services
from prequal.local.child_process import STOP_SECONDS

ENCRYPTION_KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
PAN_HASH_KEY = "Hx4dHBsaGRgXFhUUExIREA8ODQwLCgkIBwYFBAMCAQA="
OTHER_KEY = "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8="
KEYS = {"ENCRYPTION_KEY": ENCRYPTION_KEY, "PAN_HASH_KEY": PAN_HASH_KEY}

NAMES = ("api", "credit", "decision", "publisher")


class Service(services.Service):
    """One service as a process of its own."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def get(self, path: str) -> httpx.Response:
        return httpx.get(self.url + path, timeout=10, trust_env=False)

    def ready(self) -> tuple[int, dict[str, Any]]:
        """What `/ready` answers."""
        response = self.get("/ready")
        return response.status_code, response.json()

    def becomes(self, status: int, within: float = PATIENCE_SECONDS, **body: Any) -> dict[str, Any]:
        """Wait until `/ready` answers with this status and at least these words."""

        def answer() -> dict[str, Any] | None:
            try:
                found, said = self.ready()
            except httpx.TransportError:
                return None
            return said if found == status and body.items() <= said.items() else None

        found = eventually(answer, within)
        assert found is not None
        return found

    def logged(self, event: str) -> list[dict[str, Any]]:
        """The lines of its log with this event."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        objects = [json.loads(line) for line in lines if line.startswith("{")]
        return [line for line in objects if line.get("event") == event]

    def metric(self, sample: str) -> float:
        """The sum of the samples of `/metrics` that begin with `sample`."""
        lines = self.get("/metrics").text.splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(sample))

    def end(self, within: float = 10.0) -> int:
        """Send SIGTERM and return the exit code, failing when it does not end in time."""
        self.send(signal.SIGTERM)
        assert self._worker is not None
        try:
            return self._worker.wait(within)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} did not end within {within:g} s of SIGTERM") from None

    def exit_code(self, within: float = PATIENCE_SECONDS) -> int:
        """Wait until it ends by itself."""
        assert self._worker is not None
        return self._worker.wait(within)


class System:
    """The four services against one database and one broker."""

    def __init__(self, database_url: str, bootstrap_servers: str, folder: Path, **told: str) -> None:
        self._told = {"DATABASE_URL": database_url, "KAFKA_BOOTSTRAP_SERVERS": bootstrap_servers, **KEYS, **told}
        self._folder = folder
        self._services = [self.new(name, port) for name, port in zip(NAMES, free_ports(len(NAMES)), strict=True)]
        self.api, self.credit, self.decision, self.publisher = self._services
        self._all = list(self._services)

    def new(self, name: str, port: int, log_name: str = "", **told: str) -> Service:
        """A service of this system that is not yet started and not among its four."""
        return Service(name, port, self._folder / f"{log_name or name}.log", self._told | told, self._folder)

    def further(self, name: str, log_name: str, **told: str) -> Service:
        """One service more, stopped with the system."""
        (port,) = free_ports(1)
        service = self.new(name, port, log_name, **told)
        self._all.append(service)
        return service

    def start(self, *names: str) -> Self:
        """Start these services, all of them by default, at the same time, and return when they are ready."""
        chosen = [service for service in self._services if service.name in (names or NAMES)]
        with ThreadPoolExecutor(len(chosen)) as threads:
            list(threads.map(lambda service: service.start(), chosen))
        return self

    def stop(self) -> None:
        """Stop whatever runs."""
        with ThreadPoolExecutor(len(self._all)) as threads:
            list(threads.map(lambda service: service.stop_for_good(STOP_SECONDS), self._all))

    def logs(self) -> str:
        """Everything the services wrote."""
        return "".join(file.read_text() for file in self._folder.glob("*.log"))


@contextmanager
def a_system(database_url: str, bootstrap_servers: str, folder: Path, **told: str) -> Iterator[System]:
    """A system that is stopped at the end of the block, and that wrote no PAN into a log."""
    system = System(database_url, bootstrap_servers, folder, **told)
    try:
        yield system
    finally:
        system.stop()
    words = system.logs()
    assert not [pan for pan in drawn if pan in words]


def run_once(name: str, settings: Mapping[str, str], folder: Path) -> "subprocess.CompletedProcess[str]":
    """Run a command that ends by itself."""
    (port,) = free_ports(1)
    service = Service(name, port, folder / f"{name}.log", settings, folder)
    return subprocess.run(
        services._command(name),
        env=service.environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
