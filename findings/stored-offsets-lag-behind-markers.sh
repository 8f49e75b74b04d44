#!/usr/bin/env bash
# confluent-kafka 2.16.1 (librdkafka 2.16), Kafka 4.4.0
#
# Done: a topic holds a committed transaction of five messages and an aborted one of five. A read_committed consumer
#   reads to the end and commits: once by store_offsets(message=…) of the last message, once by automatic storing. On
#   the way, with the second transaction still open, the watermarks are asked for, from the cache and from the broker.
# Expected: who has read all there is has a lag of 0, and both ways of asking agree.
# Seen: storing the last message commits the offset behind it, and the markers and what was aborted stay: a lag of 7
#   for ever. Automatic storing commits the end. And the cache answers with the end of the log where the broker, asked
#   by a read_committed consumer, answers with the last stable offset.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

packages confluent-kafka==2.16.1
start_kafka
topics orders

python - <<'PYTHON'
import os

from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition

server = {"bootstrap.servers": os.environ["KAFKA"], "log_level": 3}
producer = Producer(server | {"transactional.id": "writer"})
producer.init_transactions(60)


def write():
    producer.begin_transaction()
    for number in range(5):
        producer.produce("orders", b"%d" % number)
    assert producer.flush(30) == 0


def read_to_the_end(group, **options):
    """A consumer that has read all it is shown, and the last message it got."""
    settings = {"group.id": group, "isolation.level": "read_committed", "enable.auto.commit": False}
    consumer = Consumer(server | settings | {"enable.partition.eof": True} | options)
    consumer.assign([TopicPartition("orders", 0, 0)])
    messages = []
    while (message := consumer.poll(30)) is not None:
        if message.error():
            assert message.error().code() == KafkaError._PARTITION_EOF, message.error()
            return consumer, messages
        messages.append(message)
    raise AssertionError("the end never came")


write()
producer.commit_transaction(60)
write()
consumer, messages = read_to_the_end("watermarks")
cached = consumer.get_watermark_offsets(TopicPartition("orders", 0), cached=True)[1]
asked = consumer.get_watermark_offsets(TopicPartition("orders", 0), timeout=30)[1]
consumer.close()
assert (len(messages), cached, asked) == (5, 11, 6), (len(messages), cached, asked)
producer.abort_transaction(60)

consumer, messages = read_to_the_end("by hand", **{"enable.auto.offset.store": False})
end = consumer.get_watermark_offsets(TopicPartition("orders", 0), timeout=30)[1]
consumer.store_offsets(message=messages[-1])
by_hand = consumer.commit(asynchronous=False)[0].offset
consumer.close()
consumer, _ = read_to_the_end("by itself")
by_itself = consumer.commit(asynchronous=False)[0].offset
consumer.close()

assert (end, by_hand, by_itself) == (12, 5, 12), (end, by_hand, by_itself)
print("expected: who read all has a lag of 0; the high watermark is the same, cached or asked for")
print(f"seen: a lag of {end - by_hand} with store_offsets(message=…), {end - by_itself} with automatic storing;")
print(f"seen: beside an open transaction the watermark is {cached} cached and {asked} asked for")
PYTHON
