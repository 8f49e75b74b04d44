#!/usr/bin/env bash
# confluent-kafka 2.16.1 (librdkafka 2.16), Kafka 4.4.0
#
# Done: the broker's limit of a message is its default, one megabyte. Messages of 1.5 and 5 MB of zeros are produced with
#   compression, 1.5 MB with the client's default limit, 5 MB with a client whose message.max.bytes is 10 MB.
# Expected: both ends count the same bytes: a few kilobytes compressed pass, or more than a megabyte is refused.
# Seen: the client counts before compressing and refuses 1.5 MB that would fit; the broker counts after and takes 5 MB.
#   A consumer gets them whole, with fetch.message.max.bytes = 100 kB: no limit but memory's holds for a reader.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

packages confluent-kafka==2.16.1
start_kafka
topics orders

python - <<'PYTHON'
import os

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

server = {"bootstrap.servers": os.environ["KAFKA"], "log_level": 3}


def produced(megabytes, **options):
    reports = []
    producer = Producer(server | {"compression.type": "gzip"} | options)
    try:
        producer.produce(
            "orders",
            bytes(int(megabytes * 1_000_000)),
            on_delivery=lambda error, _: reports.append(error.name() if error else "acknowledged"),
        )
    except KafkaException as error:
        return error.args[0].name()
    assert producer.flush(30) == 0
    return reports[0]


by_default = produced(1.5)
with_room = produced(5, **{"message.max.bytes": 10_000_000})
consumer = Consumer(server | {"group.id": "reader", "fetch.message.max.bytes": 100_000})
consumer.assign([TopicPartition("orders", 0, 0)])
message = consumer.poll(30)
read = len(message.value())
consumer.close()

assert (by_default, with_room, read) == ("MSG_SIZE_TOO_LARGE", "acknowledged", 5_000_000), (by_default, with_room, read)
print("expected: client and broker agree on the size of a message, and a reader's limit bounds it")
print(f"seen: 1.5 MB: {by_default} by the client; 5 MB: {with_room} by a broker with a limit of 1 MB, and {read} bytes read")
PYTHON
