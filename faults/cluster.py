"""A rig with three brokers, each its own process and its own controller, and three copies of every topic.

Invariant: an acknowledgement needs two of the three copies, as in production.
"""

import base64
import time
import uuid
from pathlib import Path
from typing import Final, Self

import psutil
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from faults.rig import Rig, at_once
from harness.ports import reserve
from harness.waiting import eventually
from prequal.core.topology import GROUPS
from prequal.local.child_process import Child
from prequal.local.kafka import Kafka

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


class ClusterRig(Rig):
    """The system on a cluster of three brokers, `kafka-1` to `kafka-3`.

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
        return [psutil.Process(service.pid).num_threads() for service in self.services.values()]

    @property
    def bootstrap_servers(self) -> str:
        """All three brokers."""
        return ",".join(node.bootstrap_servers for node in self.nodes.values())

    def child(self, name: str) -> Child:
        """The child of that name."""
        return self.nodes[name] if name in self.nodes else super().child(name)

    def close(self) -> None:
        """Stop everything that runs."""
        super().close()
        at_once(lambda node: node.stop_for_good(5.0), list(self.nodes.values()))

    def is_whole(self) -> bool:
        """Whether every partition of the topics of events has all its copies in sync."""
        admin = AdminClient({"bootstrap.servers": self.bootstrap_servers, "log_level": 0})
        try:
            about = admin.list_topics(timeout=5).topics
        except KafkaException:
            return False
        partitions = [each for topic in GROUPS for each in about[topic].partitions.values()]
        return all(len(each.isrs) == COPIES for each in partitions)

    def _open_broker(self) -> None:
        at_once(self.launch, list(self.nodes))
        at_once(lambda node: node.wait_until_ready(), list(self.nodes.values()))
        self.job("topics")

    def _everything_told(self) -> dict[str, str]:
        return super()._everything_told() | {"KAFKA_REPLICATION_FACTOR": str(COPIES)}
