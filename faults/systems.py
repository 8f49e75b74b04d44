"""The systems that faults are played on: test builds of the services, on one broker or three, with or without proxies.

Invariant: scenario and checker reach the database directly, and the broker as the services do.
"""

import base64
import os
import signal
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Final, Self

import httpx
import psutil
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from faults import prepared_stores
from faults.bugs import PUBLISHER_ALONE
from faults.build import ORDERS
from faults.checker.system import JudgedSystem, Process
from harness.journal import SERVICES
from harness.own_system import OwnSystem, reserve_ports
from harness.ports import reserve
from harness.replicas import Pair, Replica
from harness.system import PATIENCE, Service, at_once
from harness.tcp_proxy import COMMIT, TcpProxy
from harness.waiting import eventually
from prequal.core.topology import GROUPS
from prequal.local.child_process import Child
from prequal.local.kafka import Kafka
from prequal.local.keys import development_keys

CHECKOUT: Final = Path(__file__).parent.parent
COMMITS: Final = dict.fromkeys(("credit", "decision"), b'"cibil_score":')
"""What the one statement of a service that writes and commits holds, and no other, where it is no COMMIT."""

PROMPT: Final = {"WRITE_WITHIN_SECONDS": "0.75"}
"""The default in place of `PATIENCE`."""
READY_SECONDS: Final = 60.0
COPIES: Final = 3
STEADY_SECONDS: Final = 4.0
PROPERTIES: Final = {
    "compression.type": "uncompressed",
    "offsets.topic.replication.factor": "3",
    "transaction.state.log.replication.factor": "3",
    "transaction.state.log.min.isr": "2",
    "share.coordinator.state.topic.replication.factor": "3",
    "share.coordinator.state.topic.min.isr": "2",
    "replica.lag.time.max.ms": "5000",
}


def second_of(name: str) -> str:
    """What a second process of a service is called."""
    return f"{name}-2"


class Build(Service):
    """A service that can be armed to fail (`faults.build`)."""

    module = "faults.build"


class FaultSystem(OwnSystem):
    """The system in test builds, which can be armed while they run, and which a busy machine makes refuse no post."""

    build = Build

    @property
    def settings(self) -> dict[str, str]:
        """See `OwnSystem.settings`."""
        return super().settings | PATIENCE

    def start_stores(self) -> None:
        """Start copies of stores that were made before."""
        prepared_stores.copy_into(self.data)
        super().start_stores()

    def launch(self, name: str, **environment: str) -> None:
        """`start` without waiting until it is ready."""
        super().launch(name, **(self._given(name, name) if name in self.services else {}), **environment)

    def arm(self, name: str, failpoint: str) -> None:
        """Tell a service that runs where to die, stall or fail (`faults.build.parse`); passages count from now on."""
        order = self._orders(name)
        order.write_text(failpoint)
        self.child(name).send(signal.SIGUSR1)
        eventually(lambda: not order.exists())

    def start_second(self, name: str) -> Service:
        """Start a second process of a service, on a port of its own; it is stopped with the system."""
        (port,) = reserve(1)
        second = self.new(name, port, second_of(name))
        second.environment["KAFKA_GROUP_INSTANCE_ID"] = second_of(name)
        second.extra = self._given(name, second_of(name))
        self._further.append(second)
        second.start()
        return second

    @contextmanager
    def one_more(self, name: str) -> Iterator[Service]:
        """The same for as long as the block."""
        second = self.start_second(name)
        try:
            yield second
        finally:
            second.stop_for_good()
            self._further.remove(second)

    @property
    def processes(self) -> dict[str, Service]:
        """The four services, and second processes of them, as `api-2`."""
        return {**self.services, **{second_of(each.name): each for each in self._further}}

    @property
    def judged(self) -> JudgedSystem:
        """What the checker is to know of it."""
        processes = {name: Process(each.pid, each.port) for name, each in self.processes.items() if each.running}
        keys = development_keys(self.data.keys)
        pan_hash_key, draw_key = (base64.b64decode(keys[name]) for name in ("PAN_HASH_KEY", "ENCRYPTION_KEY"))
        return JudgedSystem(
            self.database_url, self.bootstrap_servers, processes, self.data.path, pan_hash_key, draw_key
        )

    def _given(self, name: str, log_name: str) -> dict[str, str]:
        """What each life of a service's process is given besides its settings."""
        del name  # all services are the same in this
        return {ORDERS: str(self._orders(log_name)), "PYTHONPATH": f"{CHECKOUT / 'src'}{os.pathsep}{CHECKOUT}"}

    def _orders(self, name: str) -> Path:
        return self.folder / f"{name}.orders"


def with_publisher_alone(folder: Path) -> FaultSystem:
    """The system in which the publisher publishes all events, and not only those that their writers left."""
    return FaultSystem(folder, own=PUBLISHER_ALONE)


def that_refuses_soon(folder: Path) -> FaultSystem:
    """The system in which the API refuses a post as soon as it does by default."""
    return FaultSystem(folder, own={"api": PROMPT})


class ProxiedSystem(FaultSystem):
    """The system, each service with a proxy of its own to the database, and one proxy before the broker.

    Attributes:
        to_database: the proxies to PostgreSQL, by service.
        to_broker: the proxy to Kafka, of all services.
    """

    def __init__(self, folder: Path) -> None:
        ports = reserve_ports()
        self.to_database: Final = {name: TcpProxy(ports["postgres"], COMMITS.get(name, COMMIT)) for name in SERVICES}
        self.to_broker: Final = TcpProxy(ports["kafka"])
        super().__init__(folder, ports=ports, advertised_port=self.to_broker.port)
        for proxy in (*self.to_database.values(), self.to_broker):
            self.afterwards.callback(proxy.close)

    def _given(self, name: str, log_name: str) -> dict[str, str]:
        url = self.logins.database_url(name, self.to_database[name].url(self.database_url))
        return {"DATABASE_URL": url, **super()._given(name, log_name)}


class BureauProcess(Child):
    """`prequal bureau`, which needs no store and no key."""

    def launch(self) -> None:
        """Start it."""
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(CHECKOUT), "HTTP_PORT": str(self.port)}
        self.spawn([sys.executable, "-P", "-m", "prequal", "bureau"], environment=environment)

    def wait_until_ready(self) -> None:
        """Block until it answers. Raises AssertionError when it does not in time."""
        eventually(self._answers, READY_SECONDS)

    def _answers(self) -> bool:
        with suppress(httpx.HTTPError):
            return httpx.get(f"http://127.0.0.1:{self.port}/health", timeout=5, trust_env=False).is_success
        return False


class BureauSystem(FaultSystem):
    """The system that asks a simulated bureau over HTTP, `bureau`, a process that may be broken like the others."""

    def __init__(self, folder: Path, *, own: Mapping[str, Mapping[str, str]] | None = None) -> None:
        (port,) = reserve(1)
        asks = {"BUREAU_URL": f"http://127.0.0.1:{port}/reports"}
        super().__init__(folder, own={**(own or {}), "credit": {**asks, **(own or {}).get("credit", {})}})
        self.bureau: Final = BureauProcess("bureau", port, self.data.log("bureau"))
        self.afterwards.callback(self.bureau.stop_for_good)

    def start_stores(self) -> None:
        """Start the stores, and the bureau."""
        super().start_stores()
        self.start("bureau")

    def child(self, name: str) -> Child:
        """The child of that name."""
        return self.bureau if name == "bureau" else super().child(name)

    @property
    def judged(self) -> JudgedSystem:
        """What the checker is to know of it."""
        return replace(super().judged, asks_bureau=True)


class FailoverSystem(FaultSystem):
    """The system on a primary and its standby, which change their roles.

    Attributes:
        pair: the two servers, and the address that the services are given.
        listed: the services are given both servers instead.
    """

    def __init__(
        self, folder: Path, *, own: Mapping[str, Mapping[str, str]] | None = None, listed: bool = False
    ) -> None:
        super().__init__(folder, own=own)
        (port,) = reserve(1)
        second = Replica(self.data.path / "standby", port, self.postgres, log=self.data.log("standby"))
        self.pair: Final = Pair(self.postgres, second)
        self.listed: Final = listed
        self.afterwards.callback(self.pair.proxy.close)

    def _start_database(self) -> None:
        super()._start_database()
        self.pair.second.start()

    def _given(self, name: str, log_name: str) -> dict[str, str]:
        given = super()._given(name, log_name)
        return given if self.listed else {"DATABASE_URL": self.logins.database_url(name, self.pair.url), **given}

    def stop(self) -> None:
        """Stop everything that runs."""
        super().stop()
        at_once(lambda server: server.stop_for_good(), [self.pair.first, self.pair.second])

    @property
    def database_url(self) -> str:
        """Whichever of the two takes writes."""
        return f"{self.pair.urls}?target_session_attrs=read-write"


class ClusterSystem(FaultSystem):
    """The system on three brokers, `kafka-1` to `kafka-3`, each its own process and its own controller.

    Three copies of every topic are kept; an acknowledgement needs two, as in production.

    Attributes:
        nodes: the brokers by name.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        ports = reserve(2 * COPIES)
        controllers = dict(enumerate(ports[COPIES:], 1))
        voters = ",".join(f"{number}@127.0.0.1:{port}" for number, port in controllers.items())
        cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        self.nodes: Final = {
            f"kafka-{number}": Kafka(
                self.data.path / f"kafka-{number}",
                ports[number - 1],
                controllers[number],
                log=self.data.log(f"kafka-{number}"),
                node_id=number,
                voters=voters,
                cluster_id=cluster_id,
                properties=PROPERTIES,
            )
            for number in controllers
        }

    def __enter__(self) -> Self:
        """Start, and wait until every client has met all the brokers: each costs it a thread, which is no leak."""
        super().__enter__()
        eventually(self._is_steady, STEADY_SECONDS * 10)
        return self

    def _is_steady(self) -> bool:
        before = self._threads()
        time.sleep(STEADY_SECONDS)
        return self._threads() == before

    def _threads(self) -> list[int]:
        return [psutil.Process(pid).num_threads() for pid in self.pids().values()]

    def _start_broker(self) -> None:
        self.start(*self.nodes)
        self.job("topics")

    @property
    def bootstrap_servers(self) -> str:
        """All three brokers."""
        return ",".join(node.bootstrap_servers for node in self.nodes.values())

    @property
    def settings(self) -> dict[str, str]:
        """What every process of this system is given."""
        return super().settings | {"KAFKA_REPLICATION_FACTOR": str(COPIES)}

    def child(self, name: str) -> Child:
        """The child of that name."""
        return self.nodes[name] if name in self.nodes else super().child(name)

    def stop(self) -> None:
        """Stop everything that runs."""
        super().stop()
        at_once(lambda node: node.stop_for_good(), list(self.nodes.values()))

    def is_whole(self) -> bool:
        """Whether every partition of the topics of events has all its copies in sync."""
        admin = AdminClient({"bootstrap.servers": self.bootstrap_servers, "log_level": 0})
        try:
            about = admin.list_topics(timeout=5).topics
        except KafkaException:
            return False
        partitions = [each for topic in GROUPS for each in about[topic].partitions.values()]
        return all(len(each.isrs) == COPIES for each in partitions)
