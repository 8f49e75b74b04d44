#!/usr/bin/env bash
# confluent-kafka 2.16.1 (librdkafka 2.16), Kafka 4.4.0
#
# Done: a group has read five messages of a topic. The topic is deleted and made again under the same name while the
#   consumer lives, and eight messages are written into it. The same with the classic and the new group protocol.
# Expected: topics have ids, so the client sees that it is another topic and reads it from its beginning, as
#   auto.offset.reset = earliest says.
# Seen: the consumer goes on at offset 5 and hands out three of the eight. The first five are never seen by the group,
#   there is no error, and the offset that it commits, 8, says that all is read.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

packages confluent-kafka==2.16.1
start_kafka
topics classic consumer

python - <<'PYTHON'
import os
import time

from confluent_kafka import Consumer, KafkaException, Producer
from confluent_kafka.admin import AdminClient, NewTopic

server = {"bootstrap.servers": os.environ["KAFKA"], "log_level": 0}
admin = AdminClient(server)


def write(topic, count, word):
    producer = Producer(server)
    for number in range(count):
        producer.produce(topic, f"{word} {number}".encode())
    assert producer.flush(30) == 0


def make_again(topic):
    admin.delete_topics([topic])[topic].result(30)
    deadline = time.monotonic() + 30
    while True:
        try:
            return admin.create_topics([NewTopic(topic, 1)])[topic].result(30)
        except KafkaException:
            assert time.monotonic() < deadline
            time.sleep(0.2)


def read(consumer, until):
    """What comes before the last word does, or in half a minute."""
    values, deadline = [], time.monotonic() + 30
    while until not in values and time.monotonic() < deadline:
        message = consumer.poll(0.2)
        if message is not None:
            values.append(message.error().name() if message.error() else message.value().decode())
    return values


def second_life(protocol):
    settings = {"group.id": protocol, "group.protocol": protocol, "auto.offset.reset": "earliest"}
    consumer = Consumer(server | settings)
    consumer.subscribe([protocol])
    write(protocol, 5, "old")
    assert len(read(consumer, "old 4")) == 5
    make_again(protocol)
    write(protocol, 8, "new")
    values = read(consumer, "new 7")
    consumer.commit(asynchronous=False)
    committed = consumer.committed(consumer.assignment(), timeout=30)[0].offset
    consumer.close()
    return values, committed


seen = {protocol: second_life(protocol) for protocol in ("classic", "consumer")}
assert seen == dict.fromkeys(seen, (["new 5", "new 6", "new 7"], 8)), seen
print("expected: all eight messages of the new topic are read, or there is an error")
print(f"seen: {len(seen['classic'][0])} of 8, no error, and {seen['classic'][1]} is committed, by both group protocols")
PYTHON
