"""Makes the cache of Kafka's start, by a start: `python -m prequal.local.kafka_cache_maker`.

Invariant: a cache is whole where it is, or is not there.
"""

import contextlib
import os
import sys
import tempfile
import uuid
from pathlib import Path
from typing import Final

from confluent_kafka import Consumer, KafkaException, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from prequal.core.errors import Misconfigured, Transient
from prequal.local import kafka_cache
from prequal.local.kafka import Kafka
from prequal.local.ports import free_ports

MESSAGE_SECONDS: Final = 30.0
"""For each step of a message's way; where it takes longer, the cache is made without."""
STOP_SECONDS: Final = 120.0
"""Java writes the cache when the broker stops: some seconds, on a busy machine more."""


def make() -> None:
    """Start a broker once in a temporary folder, with a message through it, and keep what Java learned.

    Raises:
        Misconfigured, Transient: as `Kafka.start`.
    """
    draft = kafka_cache.file().with_name(f".{kafka_cache.file().name}.{os.getpid()}")
    try:
        with tempfile.TemporaryDirectory(prefix="prequal-kafka-") as folder:
            _start_and_stop(Path(folder), draft)
        draft.replace(kafka_cache.file())
    finally:
        draft.unlink(missing_ok=True)


def _start_and_stop(folder: Path, draft: Path) -> None:
    port, controller = free_ports(2)
    broker = Kafka(
        folder / "kafka", port, controller, log=folder / "kafka.log", broker_options=[f"-XX:AOTCacheOutput={draft}"]
    )
    try:
        broker.start()
        with contextlib.suppress(KafkaException, TimeoutError):  # the cache is then of the start alone
            _one_message(broker.bootstrap_servers)
    finally:
        broker.stop_for_good(STOP_SECONDS)
    if not draft.exists():
        raise Transient("Java did not write a cache of Kafka's start")


def _one_message(bootstrap_servers: str) -> None:
    """So that the way of a message is in the cache, too."""
    server: dict[str, str | int | float | bool] = {"bootstrap.servers": bootstrap_servers, "log_level": 0}
    admin = AdminClient(server)
    for created in admin.create_topics([NewTopic("cache", 1, 1)]).values():
        created.result(MESSAGE_SECONDS)
    producer = Producer(server)
    producer.produce("cache", b"{}", str(uuid.uuid4()))
    producer.flush(MESSAGE_SECONDS)
    consumer = Consumer(server | {"group.id": "cache", "auto.offset.reset": "earliest"})
    consumer.subscribe(["cache"])
    if consumer.consume(1, timeout=MESSAGE_SECONDS):
        consumer.commit(asynchronous=False)
    consumer.close()


def main() -> None:
    """Make the cache if it is missing."""
    try:
        if not kafka_cache.file().exists():
            make()
    except (Misconfigured, Transient) as problem:
        sys.exit(str(problem))


if __name__ == "__main__":
    main()
