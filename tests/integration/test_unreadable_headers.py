"""Headers that the Kafka client cannot decode, in a real record: a process that has run for long reads them as none."""

import subprocess
import sys

from harness.broker import SUBMITTED, Broker, RawMessage
from harness.raw_record import publish_unreadable

WARM = 200
"""More messages than Python needs to specialize the calls that read them."""
READER = """
import sys
from confluent_kafka import Consumer, TopicPartition
from prequal.messaging.kafka_clients import read_headers

servers, topic, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
consumer = Consumer({"bootstrap.servers": servers, "group.id": "reader", "enable.auto.commit": False})
consumer.assign([TopicPartition(topic, 0, 0)])
read = []
while len(read) < count:
    read += [read_headers(message) for message in consumer.consume(50, 5)]
print([read.index(each) for each in read if each is None], read.count(None), read.count([("a", b"b")]))
"""


def test_unreadable_headers_are_none_in_a_process_that_has_read_many(broker: Broker) -> None:
    port = int(broker.bootstrap_servers.rpartition(":")[2])
    good = [RawMessage(b"{", b"key", [("a", "b")], 0)] * WARM
    broker.publish(SUBMITTED, good)
    for _ in range(2):
        publish_unreadable(port, SUBMITTED, 0, b"{")
    broker.publish(SUBMITTED, good)

    # In a process of its own: read twice, such headers end it.
    reader = [sys.executable, "-c", READER, broker.bootstrap_servers, SUBMITTED, str(2 * WARM + 2)]
    done = subprocess.run(reader, capture_output=True, text=True, check=False, timeout=60)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{[WARM, WARM]} 2 {2 * WARM}\n"
