#!/usr/bin/env bash
# confluent-kafka 2.16.1 (librdkafka 2.16), Kafka 4.4.0
#
# Done: a topic is created in one line, AdminClient(…).create_topics([…])["name"].result(), and in two, with the client
#   in a variable.
# Expected: both create it: the future that is waited for keeps what it needs alive.
# Seen: the first raises: nothing refers to the client any more, so it is destroyed, and its request with it.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

packages confluent-kafka==2.16.1
start_kafka

python - <<'PYTHON'
import os

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

server = {"bootstrap.servers": os.environ["KAFKA"], "log_level": 3}
try:
    AdminClient(server).create_topics([NewTopic("one-line", 1)])["one-line"].result(30)
    in_one_line = "created"
except KafkaException as error:
    in_one_line = error.args[0].name()
admin = AdminClient(server)
admin.create_topics([NewTopic("two-lines", 1)])["two-lines"].result(30)
there = "two-lines" in admin.list_topics(timeout=30).topics

assert (in_one_line, there) == ("_DESTROY", True), (in_one_line, there)
print("expected: waiting for the result of a request keeps its client alive")
print(f"seen: {in_one_line} when no variable holds the client, and no error when one does")
PYTHON
