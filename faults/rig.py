"""One whole system to be broken: PostgreSQL, Kafka and the four services, on a folder and on ports of its own.

Invariant: nothing comes back by itself: what a scenario killed stays down until the scenario starts it again.
"""

import base64
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final, Self, TypeVar

import httpx
import psutil

from faults.build import ORDERS
from faults.checker.system import PAN_HASH_KEY, Process, System
from harness.broker import Broker
from harness.database import Database
from harness.ports import reserve
from harness.waiting import eventually
from prequal.local.child_process import Child
from prequal.local.data_folder import DataFolder
from prequal.local.kafka import Kafka
from prequal.local.keys import development_keys
from prequal.local.postgres import Postgres
from prequal.local.services import OneShotJob, Service

CHECKOUT: Final = Path(__file__).parent.parent
STORES: Final = ("postgres", "kafka")
SERVICES: Final = ("api", "credit", "decision", "publisher")
EVERYBODY: Final = (*STORES, *SERVICES)

SHUTDOWN_SECONDS: Final = 10.0
"""Within which SIGTERM ends a service, by its promise."""

T = TypeVar("T")


def reserve_ports() -> dict[str, int]:
    """Ports for all of a rig, by who listens there."""
    names = ("postgres", "kafka", "controller", *SERVICES)
    return dict(zip(names, reserve(len(names)), strict=True))


class Build(Service):
    """A service as a test build; `extra` is what one start is told besides its settings."""

    extra: Mapping[str, str] = {}

    def launch(self) -> None:
        """Start the process."""
        command = [sys.executable, "-P", "-m", "faults.build", self.name]
        self.spawn(command, environment={**self.environment, **self.extra}, folder=self._folder)


class Rig:
    """The system; `with Rig(folder) as rig` starts all of it and leaves nothing running.

    Attributes:
        folder: what lies in it: the house's data and logs under `data`, the journal beside it.
        broker: the topics.
        killed: how often each child was killed.
        afterwards: what is to be done once nothing runs any more.
    """

    def __init__(
        self,
        folder: Path,
        *,
        told: Mapping[str, Mapping[str, str]] | None = None,
        ports: Mapping[str, int] | None = None,
        advertised_port: int | None = None,
        properties: Mapping[str, str] | None = None,
    ) -> None:
        """Describe the system; nothing starts before `with`.

        Args:
            folder: a folder of its own.
            told: settings of single services, by their names, that win at every start, such as `DATABASE_URL`.
            ports: as `reserve_ports` gives them, when they had to be known before.
            advertised_port: the port that the broker tells its clients, when a proxy stands before it.
            properties: further properties of the broker.
        """
        self.folder = folder.absolute()
        self.data = DataFolder(self.folder / "data")
        self.told = {name: dict((told or {}).get(name, {})) for name in SERVICES}
        self.ports = dict(ports or reserve_ports())
        self.afterwards = ExitStack()
        self.postgres = Postgres(self.data.postgres, self.ports["postgres"], log=self.data.log("postgres"))
        self.kafka = Kafka(
            self.data.kafka,
            self.ports["kafka"],
            self.ports["controller"],
            log=self.data.log("kafka"),
            advertised_port=advertised_port,
            properties={"compression.type": "uncompressed", **(properties or {})},  # a PAN in a segment must be found
        )
        self.services: dict[str, Build] = {}
        self.killed: Counter[str] = Counter()
        self._http = httpx.Client(timeout=5, trust_env=False)
        self._database: Database | None = None

    def __enter__(self) -> Self:
        try:
            self.data.path.mkdir(parents=True, exist_ok=True)
            with ThreadPoolExecutor(2) as threads:
                stores = [threads.submit(self._open_database), threads.submit(self._open_broker)]
            for store in stores:
                store.result()
            self.broker = Broker(self.bootstrap_servers)
            self.services = {name: self._describe(name) for name in SERVICES}
            at_once(self.start, SERVICES)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop everything that runs, frozen or not."""
        at_once(lambda child: child.stop_for_good(3.0), list(self.services.values()))
        at_once(lambda child: child.stop_for_good(5.0), [self.postgres, self.kafka])
        self._http.close()
        self.afterwards.close()

    # ── breaking and mending ────────────────────────────────────────────────────────────────────────────────────

    def start(self, name: str, **environment: str) -> None:
        """Start a child that is down, and return when it is ready.

        Args:
            name: the child's.
            environment: what this life of a service is told besides its settings, such as `FAULTS_FAILPOINT`,
                `FAULTS_BUG`, a setting of its own, or a library to be preloaded.
        """
        self.launch(name, **environment)
        self.child(name).wait_until_ready()

    def launch(self, name: str, **environment: str) -> None:
        """`start` without waiting until it is ready."""
        assert not self.runs(name), f"{name} runs already"
        if name in self.services:
            self.services[name].extra = {**self._own(name), **environment}
        if name == "postgres" and self._database is not None:
            self._database.close()  # its connection went with the server before
        self.child(name).launch()

    def restart(self, name: str, **environment: str) -> None:
        """Stop the child as SIGTERM does, and `start` it."""
        self.child(name).stop(SHUTDOWN_SECONDS)
        self.start(name, **environment)

    def arm(self, name: str, failpoint: str) -> None:
        """Tell a service that runs where to die, stall or fail (`faults.build.parse`); passages count from now on."""
        order = self._orders(name)
        order.write_text(failpoint)
        self.child(name).send(signal.SIGUSR1)
        eventually(lambda: not order.exists())

    def kill(self, name: str) -> None:
        """End a child as `kill -9` does; of PostgreSQL the postmaster."""
        self.child(name).kill()
        self.killed[name] += 1

    def lose_broker(self) -> None:
        """Kill the broker and delete all that it kept; its next start makes a cluster of another id, without topics."""
        self.kill("kafka")
        shutil.rmtree(self.kafka.folder)

    def terminate(self, name: str) -> int | None:
        """Send SIGTERM; the exit code (-N: ended by signal N), None when it still runs after `SHUTDOWN_SECONDS`."""
        child = self.child(name)
        child.send(signal.SIGTERM)
        return self.exit_code(name, SHUTDOWN_SECONDS)

    def exit_code(self, name: str, within: float) -> int | None:
        """Wait until a child has ended; its exit code (-N: ended by signal N), None when it still runs."""
        worker = self.child(name)._worker
        assert worker is not None, f"{name} was never started"
        try:
            return worker.wait(within)
        except subprocess.TimeoutExpired:
            return None

    def freeze(self, name: str) -> None:
        """Stop a child in its tracks, its backends too, as `kill -STOP` does."""
        self._send_family(name, signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        """Let a frozen child go on."""
        self._send_family(name, signal.SIGCONT)

    @contextmanager
    def one_more(self, name: str, **environment: str) -> Iterator[Build]:
        """A second process of a service, for as long as the block, on a port of its own."""
        (port,) = reserve(1)
        second = Build(name, port, self.data.log(f"{name}-2"), self._everything_told(), self.data.path)
        second.environment["KAFKA_GROUP_INSTANCE_ID"] = f"{name}-2"
        second.extra = {**self._own(f"{name}-2"), **environment}
        try:
            second.start()
            yield second
        finally:
            second.stop_for_good(SHUTDOWN_SECONDS)

    # ── looking ─────────────────────────────────────────────────────────────────────────────────────────────────

    def child(self, name: str) -> Child:
        """The child of that name."""
        return {"postgres": self.postgres, "kafka": self.kafka, **self.services}[name]

    def runs(self, name: str) -> bool:
        """Whether the child lives; a frozen one does."""
        return self.child(name).running

    @property
    def database(self) -> Database:
        """The database's tables, asked as their owner."""
        if self._database is None:
            self._database = Database(self.database_url)
        return self._database

    @property
    def database_url(self) -> str:
        """PostgreSQL's own address, whatever stands before it."""
        return self.postgres.database_url

    @property
    def bootstrap_servers(self) -> str:
        """The broker's advertised address."""
        return self.kafka.bootstrap_servers

    @property
    def system(self) -> System:
        """What the checker is to know of it."""
        processes = {name: Process(self.child(name).pid, self.ports[name]) for name in SERVICES if self.runs(name)}
        key = base64.b64decode(development_keys(self.data.keys)[PAN_HASH_KEY])
        return System(self.database_url, self.bootstrap_servers, processes, self.data.path, key)

    @property
    def url(self) -> str:
        """The API's."""
        return f"http://127.0.0.1:{self.ports['api']}"

    def get(self, name: str, path: str) -> httpx.Response:
        """Ask a service. Raises httpx's errors."""
        return self._http.get(f"http://127.0.0.1:{self.ports[name]}{path}")

    def ready(self, name: str) -> tuple[int, dict[str, Any]]:
        """What a service says at `/ready`. Raises httpx's errors."""
        answer = self.get(name, "/ready")
        return answer.status_code, answer.json()

    def metric(self, name: str, sample: str, label: str = "") -> float:
        """The sum of a service's samples that begin with `sample` and have the label. Raises httpx's errors."""
        return self.metric_at(self.services[name], sample, label)

    def metric_at(self, service: Build, sample: str, label: str = "") -> float:
        """The same, of a service that is not one of the four."""
        lines = self._http.get(f"http://127.0.0.1:{service.port}/metrics").text.splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(sample) and label in line)

    # ── the parts ───────────────────────────────────────────────────────────────────────────────────────────────

    def prequal(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Run a command of `prequal` on this system, as a person would."""
        told = {**os.environ, **self._everything_told(), "PREQUAL_DATA_DIR": str(self.data.path)}
        command = [sys.executable, "-P", "-m", "prequal", *words]
        return subprocess.run(
            command, env=told, cwd=self.folder, capture_output=True, text=True, timeout=60, check=False
        )

    def job(self, name: str) -> None:
        """Run `migrate`, `topics` or `maintain`. Raises Misconfigured when it fails."""
        OneShotJob(name, self.data.log(name), self._everything_told()).do()

    def _open_database(self) -> None:
        self.start("postgres")
        self.job("migrate")

    def _open_broker(self) -> None:
        self.start("kafka")
        self.job("topics")

    def _describe(self, name: str) -> Build:
        return Build(name, self.ports[name], self.data.log(name), self._everything_told(), self.data.path)

    def _own(self, name: str) -> dict[str, str]:
        return {ORDERS: str(self._orders(name)), "PYTHONPATH": str(CHECKOUT), **self.told.get(name, {})}

    def _orders(self, name: str) -> Path:
        return self.folder / f"{name}.orders"

    def _everything_told(self) -> dict[str, str]:
        stores = {"KAFKA_BOOTSTRAP_SERVERS": self.bootstrap_servers}
        if self.data.postgres.exists():
            stores["DATABASE_URL"] = self.postgres.database_url
        return stores | development_keys(self.data.keys)

    def _send_family(self, name: str, number: signal.Signals) -> None:
        worker = psutil.Process(self.child(name).pid)
        for process in (worker, *worker.children(recursive=True)):
            try:
                process.send_signal(number)
            except psutil.NoSuchProcess:
                continue


def at_once(work: Callable[[T], object], things: "list[T] | tuple[T, ...]") -> None:
    """Do the same to all of them at the same time; raises what the first of them did that failed."""
    with ThreadPoolExecutor(max(1, len(things))) as threads:
        list(threads.map(work, things))
