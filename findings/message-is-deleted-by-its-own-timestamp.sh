#!/usr/bin/env bash
# confluent-kafka 2.16.1 (librdkafka 2.16), Kafka 4.4.0 with log.retention.check.interval.ms = 1000 (default 5 min)
#
# Done: three messages are produced into topics that keep them for seven days, with timestamps of their own: eight days
#   old, as a republished one has that keeps the time of its event; now, but in seconds where milliseconds
#   are meant; and two hours ahead.
# Expected: all three are kept seven days from when they came.
# Seen: the first two are acknowledged and gone at the next look at the retention, before anybody was late. The third
#   is refused: since Kafka 4 a timestamp may be an hour ahead at most, and as old as one likes.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

packages confluent-kafka==2.16.1
start_kafka log.retention.check.interval.ms=1000 log.initial.task.delay.ms=1000 log.retention.ms=604800000
topics week-old seconds ahead present

python - <<'PYTHON'
import os
import time

from confluent_kafka import Consumer, Producer, TopicPartition

server = {"bootstrap.servers": os.environ["KAFKA"], "log_level": 3}
now = int(time.time())
TIMES = {"week-old": (now - 8 * 86400) * 1000, "seconds": now, "ahead": (now + 7200) * 1000, "present": now * 1000}
reports = {}
producer = Producer(server)
for topic, timestamp in TIMES.items():
    producer.produce(
        topic,
        b"x",
        timestamp=timestamp,
        on_delivery=lambda error, sent: reports.update({sent.topic(): error.name() if error else "acknowledged"}),
    )
assert producer.flush(30) == 0
assert reports == {
    "week-old": "acknowledged",
    "seconds": "acknowledged",
    "ahead": "INVALID_TIMESTAMP",
    "present": "acknowledged",
}, reports

consumer = Consumer(server | {"group.id": "reader"})
kept, deadline = {}, time.monotonic() + 60
while kept != {"week-old": 0, "seconds": 0, "present": 1} and time.monotonic() < deadline:
    for name in ("week-old", "seconds", "present"):
        low, high = consumer.get_watermark_offsets(TopicPartition(name, 0), timeout=30)
        kept[name] = high - low
    time.sleep(0.5)
consumer.close()
assert kept == {"week-old": 0, "seconds": 0, "present": 1}, kept
print("expected: an acknowledged message is kept for the seven days of its topic")
print(f"seen: kept are {kept}; two hours ahead: {reports['ahead']}")
PYTHON
