#!/usr/bin/env bash
# confluent-kafka 2.16.1 (librdkafka 2.16), Kafka 4.4.0
#
# Done: three messages lie in a topic. consume(3, timeout=5) takes them, then, from the beginning, consume(100, 5).
# Expected: as with poll and with the Java client, the timeout bounds the wait for the first message; what is there is
#   handed out at once.
# Seen: consume(100, 5) hands out its three messages after the whole five seconds. On a quiet topic each message is as
#   late as the timeout is long; on a busy one nothing shows.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

packages confluent-kafka==2.16.1
start_kafka
topics orders

python - <<'PYTHON'
import os
import time

from confluent_kafka import Consumer, Producer, TopicPartition

server = {"bootstrap.servers": os.environ["KAFKA"], "log_level": 3}
producer = Producer(server)
for number in range(3):
    producer.produce("orders", b"%d" % number)
assert producer.flush(30) == 0

consumer = Consumer(server | {"group.id": "reader"})


def taken(count):
    """How many messages come, and after which part of the timeout, once the client has fetched them."""
    consumer.assign([TopicPartition("orders", 0, 0)])
    first = consumer.poll(30)
    assert first is not None and not first.error()
    consumer.seek(TopicPartition("orders", 0, 0))
    began = time.monotonic()
    messages = consumer.consume(count, timeout=5)
    return len(messages), (time.monotonic() - began) / 5


exactly, more = taken(3), taken(100)
consumer.close()
assert exactly[0] == more[0] == 3, (exactly, more)
assert exactly[1] < 0.9 and more[1] >= 0.99, (exactly, more)
print("expected: three messages that are there are handed out at once, whatever the count that is asked for")
print(f"seen: consume(3) takes {exactly[1]:.0%} of its timeout, consume(100) {more[1]:.0%}")
PYTHON
