#!/usr/bin/env bash
# confluent-kafka 2.16.1 (librdkafka 2.16), Kafka 4.4.0
#
# Done: ten messages are produced; while the broker is paused and they are on their way, `purge(in_flight=True)` is
#   called. Then the broker goes on, and the topic is read.
# Expected: what a delivery report calls purged was not sent.
# Seen: all ten are reported as purged, none as possibly there, and all ten are in the log. To a sender a purged message
#   is one of unknown fate: to send it again makes a duplicate, not to send it may lose it.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

packages confluent-kafka==2.16.1
start_kafka
topics orders

python - "$kafka_pid" <<'PYTHON'
import os
import signal
import sys
import time

from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition

broker, server = int(sys.argv[1]), {"bootstrap.servers": os.environ["KAFKA"], "log_level": 3}
reports = []
producer = Producer(server | {"enable.idempotence": True, "linger.ms": 50})
producer.produce("orders", b"first")
assert producer.flush(30) == 0

os.kill(broker, signal.SIGSTOP)
for number in range(10):
    producer.produce("orders", b"%d" % number, on_delivery=lambda error, _: reports.append(error.code()))
time.sleep(1)  # the requests leave the client
producer.purge(in_queue=False, in_flight=True)
deadline = time.monotonic() + 10
while len(reports) < 10 and time.monotonic() < deadline:
    producer.poll(0.1)
os.kill(broker, signal.SIGCONT)

consumer = Consumer(server | {"group.id": "reader", "enable.partition.eof": True})
consumer.assign([TopicPartition("orders", 0, 0)])
read = []
while len(read) < 11 and (message := consumer.poll(10)) is not None:
    if not message.error():
        read.append(message.value())
consumer.close()

names = {KafkaError(code).name() for code in reports}
assert (len(reports), names) == (10, {"_PURGE_INFLIGHT"}), (len(reports), names)
assert read == [b"first", *(b"%d" % number for number in range(10))], read
print("expected: a message that is reported as purged is not in the log")
print(f"seen: {len(reports)} of 10 reported as {names.pop()}, and {len(read) - 1} of 10 are in the log")
PYTHON
