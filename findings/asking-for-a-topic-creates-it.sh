#!/usr/bin/env bash
# confluent-kafka 2.16.1 (librdkafka 2.16), Kafka 4.4.0 with its default auto.create.topics.enable = true
#
# Done: four ways to look whether a topic is there: list_topics(name) of an AdminClient, of a Producer and of a
#   Consumer, and describe_topics of an AdminClient. No message is sent.
# Expected: a question changes nothing.
# Seen: list_topics(name) of an AdminClient or a Producer makes the topic, with the broker's defaults. That of a
#   Consumer does not, nor does describe_topics; nor list_topics() without a name.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

packages confluent-kafka==2.16.1
start_kafka auto.create.topics.enable=true

python - <<'PYTHON'
import os
import time

from confluent_kafka import Consumer, KafkaException, Producer, TopicCollection
from confluent_kafka.admin import AdminClient

server = {"bootstrap.servers": os.environ["KAFKA"], "log_level": 3}
admin, producer, consumer = AdminClient(server), Producer(server), Consumer(server | {"group.id": "reader"})

consumer.list_topics("by-consumer", timeout=30)
try:
    admin.describe_topics(TopicCollection(["by-description"]))["by-description"].result(30)
except KafkaException as error:
    assert error.args[0].name() == "UNKNOWN_TOPIC_OR_PART", error
producer.list_topics("by-producer", timeout=30)
admin.list_topics("by-admin-client", timeout=30)

deadline, made = time.monotonic() + 10, set()
while time.monotonic() < deadline and len(made) < 2:
    made = {name for name in admin.list_topics(timeout=30).topics if name.startswith("by-")}
consumer.close()
assert made == {"by-admin-client", "by-producer"}, made
print("expected: no topic is there after four questions")
print(f"seen: {', '.join(sorted(made))}")
PYTHON
