#!/usr/bin/env bash
# confluent-kafka 2.16.1 (librdkafka 2.16), aiokafka 0.14.0, Kafka 4.4.0
#
# Done: a hundred keys are written into a topic of twelve partitions by two clients with their defaults; then by
#   confluent-kafka with partitioner = murmur2_random.
# Expected: a key's partition is a matter of the key: all that is written with it stays in order.
# Seen: the two agree on about one key in twelve, as chance would: librdkafka hashes by CRC32, aiokafka (like Java) by
#   murmur2. To change the client, or to have two of them, breaks the order of a key. With murmur2_random all agree.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

packages confluent-kafka==2.16.1 aiokafka==0.14.0
start_kafka
topics orders:12

python - <<'PYTHON'
import asyncio
import os

from aiokafka import AIOKafkaProducer
from confluent_kafka import Producer

KEYS = [f"key-{number}".encode() for number in range(100)]


async def by_aiokafka():
    async with AIOKafkaProducer(bootstrap_servers=os.environ["KAFKA"]) as producer:
        sent = [await producer.send("orders", b"x", key=key) for key in KEYS]
        return dict(zip(KEYS, [(await report).partition for report in sent], strict=True))


def by_confluent(**settings):
    chosen = {}

    def note(_, sent):
        chosen[sent.key()] = sent.partition()

    producer = Producer({"bootstrap.servers": os.environ["KAFKA"], "log_level": 3} | settings)
    for key in KEYS:
        producer.produce("orders", b"x", key=key, on_delivery=note)
    assert producer.flush(30) == 0
    return chosen


aiokafka, confluent, murmur2 = asyncio.run(by_aiokafka()), by_confluent(), by_confluent(partitioner="murmur2_random")
agreed = sum(aiokafka[key] == confluent[key] for key in KEYS)
assert agreed < 30 and murmur2 == aiokafka, (agreed, sum(aiokafka[key] == murmur2[key] for key in KEYS))
print("expected: both clients write a key into the same partition")
print(f"seen: {agreed} of {len(KEYS)} keys by their defaults, all with partitioner = murmur2_random")
PYTHON
