#!/usr/bin/env bash
# Kafka 4.4.0, confluent-kafka 2.16.1 (librdkafka 2.16)
#
# Done: the only consumer of a group, static by its group.instance.id, reads the topic orders and is closed. Within its
#   session another one comes under the same id, and subscribes to payments alone; it is watched for fifteen seconds.
# Expected: the subscription is another, so the group assigns again, and the newcomer reads payments.
# Seen: it is assigned the partitions of orders, which it does not subscribe to, and none of payments, for as long as it
#   lives: the broker gives it the old member's assignment without a rebalance. So is an empty assignment, when the
#   topic was missing as the group formed: a restart under the same id does not help.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

packages confluent-kafka==2.16.1
start_kafka
topics orders payments

python - <<'PYTHON'
import os
import time

from confluent_kafka import Consumer


def assigned(topic, seconds):
    """The topics of which a consumer of `topic` has partitions when its time is over."""
    consumer = Consumer(
        {
            "bootstrap.servers": os.environ["KAFKA"],
            "group.id": "workers",
            "group.instance.id": "worker-1",
            "partition.assignment.strategy": "cooperative-sticky",
            "topic.metadata.refresh.interval.ms": 1000,
            "log_level": 3,
        }
    )
    consumer.subscribe([topic])
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        consumer.poll(0.1)
    found = {partition.topic for partition in consumer.assignment()}
    consumer.close()
    return found


first, second = assigned("orders", 8), assigned("payments", 15)
assert (first, second) == ({"orders"}, {"orders"}), (first, second)
print("expected: the static member that subscribes to payments is assigned payments")
print(f"seen: it is assigned {', '.join(second)}, fifteen seconds long")
PYTHON
