#!/usr/bin/env bash
# confluent-kafka 2.16.1 (librdkafka 2.16), Kafka 4.4.0
#
# Done: a second consumer joins a group of one, once by the classic protocol and once by the new one (KIP-848), each
#   with its defaults but for the classic heartbeat of 1 s. A client setting heartbeat.interval.ms is tried with the
#   new.
# Expected: the new protocol, made to end stop-the-world rebalances, gives a new member its share sooner.
# Seen: it takes a whole heartbeat of the broker's, 5 s by default, several times as long as the classic one: the first
#   member hears only then what to give up. And the interval can be set at the broker only: the client refuses it.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

packages confluent-kafka==2.16.1
start_kafka
topics classic:2 consumer:2

python - <<'PYTHON'
import os
import time

from confluent_kafka import Consumer, KafkaException

server = {"bootstrap.servers": os.environ["KAFKA"], "log_level": 0}


def joined_after(protocol, **options):
    """Seconds until the second member has its share, while both are polled."""
    settings = server | {"group.id": protocol, "group.protocol": protocol} | options
    first, second = Consumer(settings), Consumer(settings)
    first.subscribe([protocol])
    while len(first.assignment()) < 2:
        first.poll(0.05)
    second.subscribe([protocol])
    began = time.monotonic()
    while not second.assignment():
        assert time.monotonic() < began + 60
        first.poll(0.02)
        second.poll(0.02)
    after = time.monotonic() - began
    second.close()
    first.close()
    return after


classic = joined_after("classic", **{"heartbeat.interval.ms": 1000})
new = joined_after("consumer")
try:
    Consumer(server | {"group.id": "g", "group.protocol": "consumer", "heartbeat.interval.ms": 1000})
    refused = "taken"
except KafkaException as error:
    refused = error.args[0].name()

assert new > 4 and new > 1.5 * classic, (classic, new)
assert refused == "_INVALID_ARG", refused
print("expected: a second member has its share sooner by the new protocol than by the classic one")
print(f"seen: after {new:.1f} s by the new one, {classic:.1f} s by the classic; heartbeat.interval.ms: {refused}")
PYTHON
