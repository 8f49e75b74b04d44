#!/usr/bin/env bash
# confluent-kafka 2.16.1 (librdkafka 2.16), Kafka 4.4.0
#
# Done: a consumer pauses both partitions that it has. Another one joins, and one partition goes to it; it leaves, and
#   the partition comes back. The same with classic and cooperative assignment and with the new group protocol.
# Expected: an assignment is a fresh start, as with the Java client: what comes back is read.
# Seen: it comes back paused, without a word, and nothing of it is read until resume() is called, which works. Code
#   that keeps its own list of what it paused, and empties that when a partition is revoked, stops here for good.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

packages confluent-kafka==2.16.1
start_kafka group.consumer.heartbeat.interval.ms=1000 group.consumer.min.heartbeat.interval.ms=1000
topics range:2 cooperative-sticky:2 consumer:2

python - <<'PYTHON'
import os
import time

from confluent_kafka import Consumer, Producer

server = {"bootstrap.servers": os.environ["KAFKA"], "log_level": 3}
classic = {"heartbeat.interval.ms": 500}
WAYS = {
    "range": classic | {"partition.assignment.strategy": "range"},
    "cooperative-sticky": classic | {"partition.assignment.strategy": "cooperative-sticky"},
    "consumer": {"group.protocol": "consumer"},
}


def poll(consumers, until, seconds=60):
    """Poll them in turn until the condition holds; what the first one read."""
    read, deadline = [], time.monotonic() + seconds
    while not until() and time.monotonic() < deadline:
        for consumer in consumers:
            message = consumer.poll(0.1)
            if message is not None and not message.error() and consumer is consumers[0]:
                read.append((message.partition(), message.offset()))
    return read


def returned(topic, settings):
    """What is read of the partitions that were away and came back, and after they are resumed."""
    settings = server | settings | {"group.id": topic, "auto.offset.reset": "earliest"}
    revoked = []
    first, second = Consumer(settings), Consumer(settings)
    first.subscribe([topic], on_revoke=lambda _, partitions: revoked.extend(partitions))
    poll([first], lambda: len(first.assignment()) == 2)
    first.pause(first.assignment())
    second.subscribe([topic])
    poll([first, second], lambda: len(second.assignment()) == 1 == len(first.assignment()))
    second.close()
    poll([first], lambda: len(first.assignment()) == 2)
    assert revoked and len(first.assignment()) == 2, (topic, revoked)
    producer = Producer(server)
    for partition in (0, 1):
        producer.produce(topic, b"x", partition=partition)
    assert producer.flush(30) == 0
    came_back = {partition.partition for partition in revoked}
    read = [taken for taken in poll([first], lambda: False, 4) if taken[0] in came_back]
    first.resume(first.assignment())
    resumed = {partition for partition, _ in poll([first], lambda: False, 4)}
    first.close()
    return read, resumed


seen = {topic: returned(topic, settings) for topic, settings in WAYS.items()}
assert seen == dict.fromkeys(WAYS, ([], {0, 1})), seen
print("expected: a partition that was revoked and assigned again is read")
print(f"seen: with {', '.join(seen)} nothing of it is read before resume(), and all after it")
PYTHON
