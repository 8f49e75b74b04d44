"""One whole system that may be broken: PostgreSQL, Kafka and the four services, in a folder and on ports of its own.

Invariant: what was killed stays down until it is started again, and nothing outlives the block.
"""

import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, Self

import httpx

from harness.broker import Broker
from harness.database import Database
from harness.journal import SERVICES
from harness.ports import reserve
from harness.stores import send_family
from harness.system import ANYBODY, SHUTDOWN_SECONDS, Service, System, at_once, exit_code
from prequal.local.child_process import Child
from prequal.local.data_folder import DataFolder
from prequal.local.kafka import Kafka
from prequal.local.keys import development_keys
from prequal.local.logins import Logins
from prequal.local.postgres import Postgres
from prequal.local.services import OneShotJob

STORES: Final = ("postgres", "kafka")
EVERYBODY: Final = (*STORES, *SERVICES)


def reserve_ports() -> dict[str, int]:
    """Ports for all of a system, by who listens there."""
    names = ("postgres", "kafka", "controller", *SERVICES)
    return dict(zip(names, reserve(len(names)), strict=True))


class OwnSystem(System):
    """The system; `with OwnSystem(folder) as system` starts all of it and leaves nothing running.

    Attributes:
        folder: what lies in it: the data and the logs under `data`.
        broker: the topics.
        logins: the services', to the database.
        killed: how often each child was killed.
        afterwards: what is to be done once nothing runs any more.
    """

    def __init__(
        self,
        folder: Path,
        *,
        own: Mapping[str, Mapping[str, str]] | None = None,
        ports: Mapping[str, int] | None = None,
        advertised_port: int | None = None,
        properties: Mapping[str, str] | None = None,
    ) -> None:
        """Describe the system; nothing starts before `with`.

        Args:
            folder: a folder of its own.
            own: settings of single services, by their names, that win at every start, such as `DATABASE_URL`.
            ports: as `reserve_ports` gives them, when they had to be known before.
            advertised_port: the port that the broker names to its clients, when a proxy stands before it.
            properties: further properties of the broker.
        """
        self.folder = folder.absolute()
        self.data = DataFolder(self.folder / "data")
        self.own = {name: dict((own or {}).get(name, {})) for name in SERVICES}
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
        self.services = {}
        self.killed: Counter[str] = Counter()
        self._further = []
        self._database: Database | None = None

    def __enter__(self) -> Self:
        try:
            self.start_stores()
            self.broker = Broker(self.bootstrap_servers)
            self._settings = self.settings
            self._describe(self.ports)
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start_stores(self) -> None:
        """Start PostgreSQL and Kafka; new ones get their roles, tables and topics."""
        self.data.path.mkdir(parents=True, exist_ok=True)
        at_once(lambda start: start(), [self._start_database, self._start_broker])

    def _start_database(self) -> None:
        is_new = not self.data.postgres.exists()
        self.start("postgres")
        self.logins = Logins(self.data.logins)
        if is_new:
            self.logins.make(self.database_url)
            self.job("migrate")

    def _start_broker(self) -> None:
        is_new = not self.data.kafka.exists()
        self.start("kafka")
        if is_new:
            self.job("topics")

    def new(self, name: str, port: int, log_name: str = "", **settings: str) -> Service:
        """A service of this system that is not yet started and not among its four."""
        log = self.data.log(log_name or name)
        own = {"DATABASE_URL": self.logins.database_url(name, self.database_url)}
        return self.build(name, port, log, self._settings | own | settings, self.data.path)

    def stop(self) -> None:
        """Stop everything that runs, frozen or not."""
        super().stop()
        at_once(lambda child: child.stop_for_good(), [self.postgres, self.kafka])
        self.afterwards.close()

    # ── breaking and restoring ──────────────────────────────────────────────────────────────────────────────────

    def launch(self, name: str, **environment: str) -> None:
        """`start` without waiting until it is ready."""
        if name == "postgres" and self._database is not None:
            self._database.close()  # its connection went with the server before
        super().launch(name, **self.own.get(name, {}), **environment)

    def restart(self, name: str, **environment: str) -> None:
        """Stop the child as SIGTERM does, and `start` it."""
        self.child(name).stop(SHUTDOWN_SECONDS)
        self.start(name, **environment)

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
        self.child(name).send(signal.SIGTERM)
        return self.exit_code(name, SHUTDOWN_SECONDS)

    def exit_code(self, name: str, within: float) -> int | None:
        """Wait until a child has ended; its exit code (-N: ended by signal N), None when it still runs then."""
        return exit_code(self.child(name), within)

    def freeze(self, name: str) -> None:
        """Stop a child in its tracks, its backends too, as `kill -STOP` does."""
        send_family(self.child(name), signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        """Let a frozen child go on."""
        send_family(self.child(name), signal.SIGCONT)

    # ── looking ─────────────────────────────────────────────────────────────────────────────────────────────────

    def child(self, name: str) -> Child:
        """The child of that name."""
        return {"postgres": self.postgres, "kafka": self.kafka, **self.services}[name]

    def runs(self, name: str) -> bool:
        """Whether the child lives; a frozen one does."""
        return self.child(name).running

    def pids(self) -> dict[str, int]:
        """The processes of the services."""
        return {name: service.pid for name, service in self.services.items()}

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
    def url(self) -> str:
        """The API's."""
        return self.api.url

    def get(self, name: str, path: str) -> httpx.Response:
        """Ask a service. Raises httpx's errors."""
        return self.services[name].get(path)

    def ready(self, name: str) -> tuple[int, dict[str, Any]]:
        """What a service says at `/ready`. Raises httpx's errors."""
        return self.services[name].ready()

    def metric(self, name: str, sample: str, label: str = "") -> float:
        """The sum of a service's samples that begin with `sample` and have the label. Raises httpx's errors."""
        return self.services[name].metric(sample, label)

    # ── the parts ───────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def settings(self) -> dict[str, str]:
        """What every process of this system is given."""
        stores = {"KAFKA_BOOTSTRAP_SERVERS": self.bootstrap_servers, **ANYBODY}
        if self.data.postgres.exists():
            stores["DATABASE_URL"] = self.database_url
        return stores | development_keys(self.data.keys)

    def prequal(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Run a command of `prequal` on this system, as a person would."""
        environment = {**os.environ, **self.settings, "PREQUAL_DATA_DIR": str(self.data.path)}
        command = [sys.executable, "-P", "-m", "prequal", *words]
        return subprocess.run(
            command, env=environment, cwd=self.folder, capture_output=True, text=True, timeout=60, check=False
        )

    def job(self, name: str) -> None:
        """Run `migrate`, `topics` or `maintain`. Raises Misconfigured when it fails."""
        OneShotJob(name, self.data.log(name), self.settings).execute()
