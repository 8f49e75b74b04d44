#!/usr/bin/env bash
# confluent-kafka 2.16.1 (librdkafka 2.16), Kafka 4.4.0
#
# Done: one message at a time is produced and its delivery awaited, by AIOProducer with its defaults and by Producer.
#   Then AIOProducer is given a message with a header.
# Expected: awaiting a delivery takes about a round trip to the broker with both, and both take headers.
# Seen: AIOProducer gathers messages for a second and more before it sends a batch of fewer than a thousand, whatever
#   linger.ms says: ten times as long and more. And it refuses headers.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

packages confluent-kafka==2.16.1
start_kafka
topics orders

python - <<'PYTHON'
import asyncio
import os
import time

from confluent_kafka import Producer
from confluent_kafka.aio import AIOProducer

server = {"bootstrap.servers": os.environ["KAFKA"], "log_level": 3, "linger.ms": 0}


async def by_aio():
    producer = AIOProducer(server)
    took = []
    for _ in range(4):
        began = time.monotonic()
        delivered = await producer.produce("orders", b"x")
        await delivered
        took.append(time.monotonic() - began)
    try:
        await producer.produce("orders", b"x", headers=[("kind", b"test")])
        headers = "taken"
    except NotImplementedError as error:
        headers = type(error).__name__
    await producer.close()
    return min(took[1:]), headers


def by_producer():
    producer = Producer(server)
    took = []
    for _ in range(4):
        began = time.monotonic()
        producer.produce("orders", b"x")
        assert producer.flush(30) == 0
        took.append(time.monotonic() - began)
    return min(took[1:])


(aio, headers), plain = asyncio.run(by_aio()), by_producer()
assert aio > 1 and aio > 10 * plain, (aio, plain)
assert headers == "NotImplementedError", headers
print("expected: awaiting one delivery takes about as long with AIOProducer as with Producer")
print(f"seen: {aio:.1f} s against {plain * 1000:.0f} ms, with linger.ms = 0; a message with headers: {headers}")
PYTHON
