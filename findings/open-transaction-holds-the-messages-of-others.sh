#!/usr/bin/env bash
# confluent-kafka 2.16.1 (librdkafka 2.16), Kafka 4.4.0
#
# Done: one producer writes a message in a transaction and leaves it open. Another producer, without transactions,
#   writes three and has them acknowledged. A consumer with the default isolation.level reads.
# Expected: the three are read: they are no part of any transaction. And a consumer that knows nothing of transactions
#   reads all there is.
# Seen: read_committed is librdkafka's default (Java's is read_uncommitted), and such a consumer stops at the oldest
#   open transaction: none of the three comes until it ends, up to a minute by default, and there is no error. With
#   read_uncommitted all four come.
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
foreign, plain = Producer(server | {"transactional.id": "foreign"}), Producer(server)
foreign.init_transactions(60)
foreign.begin_transaction()
foreign.produce("orders", b"in a transaction")
assert foreign.flush(30) == 0
for number in range(3):
    plain.produce("orders", b"plain %d" % number)
assert plain.flush(30) == 0


def read(consumer, seconds, count):
    values, deadline = [], time.monotonic() + seconds
    while len(values) < count and time.monotonic() < deadline:
        message = consumer.poll(0.2)
        if message is not None:
            assert not message.error(), message.error()
            values.append(message.value())
    return values


def reader(**options):
    consumer = Consumer(server | {"group.id": "reader"} | options)
    consumer.assign([TopicPartition("orders", 0, 0)])
    return consumer


uncommitted, by_default = reader(**{"isolation.level": "read_uncommitted"}), reader()
of_all = read(uncommitted, 30, 4)
while_open = read(by_default, 5, 1)
foreign.abort_transaction(60)
afterwards = read(by_default, 30, 3)
uncommitted.close()
by_default.close()

assert (len(of_all), while_open) == (4, []), (of_all, while_open)
assert afterwards == [b"plain 0", b"plain 1", b"plain 2"], afterwards
print("expected: three messages without a transaction are read while somebody else's is open")
print(f"seen: {len(while_open)} by default, {len(afterwards)} once it has ended; {len(of_all)} with read_uncommitted")
PYTHON
