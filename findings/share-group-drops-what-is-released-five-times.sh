#!/usr/bin/env bash
# confluent-kafka 2.16.1 (librdkafka 2.16), Kafka 4.4.0
#
# Done: a share group's consumer gets one message and releases it each time, as it cannot handle it yet. A second
#   message is accepted, to show that the group lives.
# Expected: RELEASE means "later", however often, as a message that is not acknowledged comes again.
# Seen: after five deliveries (group.share.delivery.count.limit) the message never comes again. There is no error and no
#   dead letter; it is still on the topic, but no consumer of the group will see it.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

packages confluent-kafka==2.16.1
start_kafka
topics orders

python - <<'PYTHON'
import os
import time

from confluent_kafka import AcknowledgeType, Consumer, Producer, ShareConsumer, TopicPartition

server = {"bootstrap.servers": os.environ["KAFKA"], "log_level": 3}
producer = Producer(server)
share = ShareConsumer(server | {"group.id": "workers", "share.acknowledgement.mode": "explicit"})
share.subscribe(["orders"])


def send(value):
    producer.produce("orders", value)
    assert producer.flush(30) == 0


def delivered(seconds, until=None):
    """What comes, and how many times it has come; the message "later" is released, all else accepted."""
    seen, deadline = [], time.monotonic() + seconds
    while time.monotonic() < deadline and until not in [value for value, _ in seen]:
        for message in share.poll(0.5):
            assert not message.error(), message.error()
            seen.append((message.value(), message.delivery_count()))
            later = message.value() == b"later"
            share.acknowledge(message, AcknowledgeType.RELEASE if later else AcknowledgeType.ACCEPT)
    return seen


# A new share group begins at the end of the topic: send until it has begun.
deadline = time.monotonic() + 60
while not delivered(1, b"hello"):
    assert time.monotonic() < deadline, "the group never began"
    send(b"hello")
delivered(5)
send(b"later")
released = delivered(15)
send(b"hello")
after = delivered(20, b"hello")
share.close()

reader = Consumer(server | {"group.id": "reader"})
reader.assign([TopicPartition("orders", 0, 0)])
kept = False
while (message := reader.poll(5)) is not None:
    kept |= message.value() == b"later"
reader.close()
assert released == [(b"later", count) for count in range(1, 6)], released
assert after == [(b"hello", 1)] and kept, (after, kept)
print("expected: a message that is released comes again until it is accepted or rejected")
print(f"seen: it comes {len(released)} times and then no more, without an error, though it is still in the log")
PYTHON
