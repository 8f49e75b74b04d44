#!/usr/bin/env bash
# confluent-kafka 2.16.1 (librdkafka 2.16), Kafka 4.4.0
#
# Done: three batches of five messages are produced to a topic that dates messages when they are appended
#   (`message.timestamp.type=LogAppendTime`). The admin client asks for the offset of `OffsetSpec.max_timestamp()`.
# Expected: that of the newest message, 14, since on such a topic no later message has an earlier time.
# Seen: 10, the first of the last batch. A batch is dated as one, so that its messages share the largest time, and the
#   first of them is answered. A program that takes it for the end of the topic, to say how old the newest message is or
#   up to where a copy is complete, is right about the time and leaves out the rest of the batch.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

packages confluent-kafka==2.16.1
start_kafka
topics orders

python - <<'PYTHON'
import os

from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, OffsetSpec

server = {"bootstrap.servers": os.environ["KAFKA"]}
admin = AdminClient(server)
dated = ConfigEntry("message.timestamp.type", "LogAppendTime", incremental_operation=AlterConfigOpType.SET)
topic = ConfigResource(ConfigResource.Type.TOPIC, "orders", incremental_configs=[dated])
for changed in admin.incremental_alter_configs([topic]).values():
    changed.result(10)

times = []
producer = Producer(server | {"linger.ms": 200})
for batch in range(3):
    for number in range(5):
        producer.produce("orders", b"%d" % number, on_delivery=lambda _, message: times.append(message.timestamp()[1]))
    assert producer.flush(10) == 0


def offset(spec):
    (answer,) = admin.list_offsets({TopicPartition("orders", 0): spec}).values()
    found = answer.result(10)
    return found.offset, found.timestamp


end, (newest, at) = offset(OffsetSpec.latest())[0], offset(OffsetSpec.max_timestamp())
assert times == sorted(times) and [times.count(each) for each in times] == [5] * 15, times
assert (end, newest, at) == (15, 10, times[14]), (end, newest, at)
print("expected: the largest time is that of the newest message, at offset 14")
print(f"seen: offset {newest}, whose time is that of offsets 10 to 14, while the topic ends at {end}")
PYTHON
