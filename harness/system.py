"""A running system to be tried: the four services over given stores (`harness.own_system`: over stores of its own).

Invariant: nothing comes back by itself.
"""

import base64
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Final, Self, TypeVar

import httpx

from harness.applications import drawn
from harness.database import url_of_service
from harness.journal import SERVICES
from harness.ports import free_port, free_ports
from harness.waiting import PATIENCE_SECONDS, eventually
from prequal.local import services
from prequal.local.child_process import STOP_SECONDS, Child

ENCRYPTION_KEY: Final = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
PAN_HASH_KEY: Final = "Hx4dHBsaGRgXFhUUExIREA8ODQwLCgkIBwYFBAMCAQA="
DRAW_KEY: Final = base64.b64decode(ENCRYPTION_KEY)
"""What the simulated scores of such a system are drawn with."""
OTHER_KEY: Final = "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8="
REPORT_KEY: Final = "QEFCQ0RFRkdISUpLTE1OT1BRUlNUVVZXWFlaW1xdXl8="
KEYS: Final = {"ENCRYPTION_KEY": ENCRYPTION_KEY, "PAN_HASH_KEY": PAN_HASH_KEY, "REPORT_KEY": REPORT_KEY}

PATIENCE: Final = {"WRITE_WITHIN_SECONDS": "3"}
"""A machine that runs several systems at once is slow: what is posted together waits instead of being refused."""

ANYBODY: Final = {"API_AUTHENTICATION": "none"}
"""Everybody on this machine may call the API, as under `prequal up`."""

SHUTDOWN_SECONDS: Final = 10.0
"""Within which SIGTERM ends a service, by its promise."""

ENDS_WITHIN_SECONDS: Final = 120.0
"""For a command that ends by itself, on a machine that is busy with other things."""

T = TypeVar("T")


class Service(services.ServiceProcess):
    """One service as a process of its own; `extra` is what its next start is given besides its settings."""

    module: ClassVar[str] = "prequal"
    extra: Mapping[str, str] = {}

    def launch(self) -> None:
        """Start the process."""
        command = [sys.executable, "-P", "-m", self.module, self.name]
        self.spawn(command, environment={**self.environment, **self.extra}, folder=self._folder)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def get(self, path: str) -> httpx.Response:
        # With nothing to verify, no certificates are loaded, which would be slow.
        return httpx.get(self.url + path, timeout=10, trust_env=False, verify=False)

    def ready(self) -> tuple[int, dict[str, Any]]:
        """What `/ready` answers. Raises httpx's errors."""
        response = self.get("/ready")
        return response.status_code, response.json()

    def becomes(self, status: int, within: float = PATIENCE_SECONDS, **body: Any) -> dict[str, Any]:
        """Wait until `/ready` answers with this status and at least these fields; the whole answer."""
        last: object = None

        def answer() -> dict[str, Any] | None:
            nonlocal last
            try:
                last = found, said = self.ready()
            except httpx.TransportError as error:
                last = error
                return None
            return said if found == status and body.items() <= said.items() else None

        try:
            return eventually(answer, within) or {}
        except AssertionError as late:
            raise AssertionError(f"{self.name} did not become {status} {body}; last it said {last}") from late

    def logged(self, event: str) -> list[dict[str, Any]]:
        """The lines of its log with this event."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        objects = [json.loads(line) for line in lines if line.startswith("{")]
        return [line for line in objects if line.get("event") == event]

    def metric(self, sample: str, label: str = "") -> float:
        """The sum of the samples of `/metrics` that begin with `sample` and have the label. Raises httpx's errors."""
        lines = self.get("/metrics").text.splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(sample) and label in line)

    def end(self, within: float = SHUTDOWN_SECONDS) -> int | None:
        """Send SIGTERM; the exit code, None when it still runs then."""
        self.send(signal.SIGTERM)
        return self.exit_code(within)

    def exit_code(self, within: float = PATIENCE_SECONDS) -> int | None:
        """Wait until it has ended; its exit code (-N: ended by signal N), None when it still runs then."""
        return exit_code(self, within)


class System:
    """The four services against one prepared database and one broker, each with its own login.

    Attributes:
        folder: the services' working folder, with their logs in it.
        services: the four, by name.
    """

    build: type[Service] = Service

    def __init__(self, database_url: str, bootstrap_servers: str, folder: Path, **settings: str) -> None:
        self.folder = folder
        self._settings = {
            "DATABASE_URL": database_url,
            "KAFKA_BOOTSTRAP_SERVERS": bootstrap_servers,
            **KEYS,
            **PATIENCE,
            **ANYBODY,
            **settings,
        }
        self._further: list[Service] = []
        self._describe(dict(zip(SERVICES, free_ports(len(SERVICES)), strict=True)))

    def _describe(self, ports: Mapping[str, int]) -> None:
        self.services = {name: self.new(name, ports[name]) for name in SERVICES}
        self.api, self.credit, self.decision, self.publisher = self.services.values()

    def new(self, name: str, port: int, log_name: str = "", **settings: str) -> Service:
        """A service of this system that is not yet started and not among its four."""
        log = self.folder / f"{log_name or name}.log"
        own = {"DATABASE_URL": url_of_service(self._settings["DATABASE_URL"], name)}
        return self.build(name, port, log, self._settings | own | settings, self.folder)

    def further(self, name: str, log_name: str, **settings: str) -> Service:
        """One service more, stopped with the system."""
        self._further.append(self.new(name, free_port(), log_name, **settings))
        return self._further[-1]

    def child(self, name: str) -> Child:
        """The child of that name."""
        return self.services[name]

    def start(self, *names: str, **environment: str) -> Self:
        """Start these children, all services by default, at the same time, and return when they are ready.

        Args:
            names: the children's.
            environment: what this life of the services is given besides their settings, such as a failpoint, a setting
                or a library to be preloaded.
        """
        at_once(lambda name: self.launch(name, **environment), names or SERVICES)
        at_once(lambda name: self.child(name).wait_until_ready(), names or SERVICES)
        return self

    def launch(self, name: str, **environment: str) -> None:
        """`start` without waiting until it is ready."""
        child = self.child(name)
        assert not child.running, f"{name} runs already"
        if isinstance(child, Service):
            child.extra = environment
        child.launch()

    def stop(self) -> None:
        """Stop whatever runs, frozen or not."""
        at_once(lambda child: child.stop_for_good(STOP_SECONDS), [*self.services.values(), *self._further])

    def logs(self) -> str:
        """Everything the services wrote."""
        return "".join(file.read_text() for file in self.folder.glob("*.log"))


@contextmanager
def a_system(database_url: str, bootstrap_servers: str, folder: Path, **settings: str) -> Iterator[System]:
    """A system that is stopped at the end of the block, and that wrote no PAN into a log."""
    system = System(database_url, bootstrap_servers, folder, **settings)
    try:
        yield system
    finally:
        system.stop()
    words = system.logs()
    assert not [pan for pan in drawn if pan in words]


def run_once(name: str, settings: Mapping[str, str], folder: Path) -> "subprocess.CompletedProcess[str]":
    """Run a command that ends by itself."""
    service = Service(name, free_port(), folder / f"{name}.log", settings, folder)
    command, environment = [sys.executable, "-P", "-m", "prequal", name], service.environment
    return subprocess.run(
        command, env=environment, cwd=folder, capture_output=True, text=True, timeout=ENDS_WITHIN_SECONDS, check=False
    )


def exit_code(child: Child, within: float) -> int | None:
    """Wait until a child has ended; its exit code (-N: ended by signal N), None when it still runs then."""
    assert child._worker is not None, f"{child.name} was never started"
    try:
        return child._worker.wait(within)
    except subprocess.TimeoutExpired:
        return None


def at_once(work: Callable[[T], object], things: Sequence[T]) -> None:
    """Do the same to all of them at the same time; raises what the first of them did that failed."""
    with ThreadPoolExecutor(max(1, len(things))) as threads:
        list(threads.map(work, things))
