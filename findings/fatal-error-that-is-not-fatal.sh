#!/usr/bin/env bash
# confluent-kafka 2.16.1 (librdkafka 2.16), Kafka 4.4.0
#
# Done: a transactional producer is fenced by a second one with the same transactional.id. The first one's errors are
#   looked at: of its commit, of its delivery report, and of what it produces afterwards.
# Expected: KafkaError.fatal() says whether the producer is beyond help; it does for each of the three.
# Seen: only the commit's error says so. The report of the lost message is not fatal, and the error of produce(), whose
#   very code is _FATAL, has fatal() False. To go by fatal() alone is to try for ever: ask for the code too.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

packages confluent-kafka==2.16.1
start_kafka
topics orders

python - 2>/dev/null <<'PYTHON'
import os

from confluent_kafka import KafkaError, KafkaException, Producer

settings = {"bootstrap.servers": os.environ["KAFKA"], "transactional.id": "relay"}
first, second = Producer(settings), Producer(settings)
reports = []


def error_of(call, *arguments, **options):
    try:
        call(*arguments, **options)
    except KafkaException as error:
        return error.args[0]
    raise AssertionError("no error")


first.init_transactions(60)
first.begin_transaction()
first.produce("orders", b"kept")
assert first.flush(30) == 0
second.init_transactions(60)
first.produce("orders", b"lost", on_delivery=lambda error, _: reports.append(error))
commit = error_of(first.commit_transaction, 60)
first.poll(1)
afterwards = error_of(first.produce, "orders", b"one more")

seen = {
    "commit": (commit.name(), commit.fatal()),
    "report": (reports[0].name(), reports[0].fatal()),
    "produce": (afterwards.name(), afterwards.fatal()),
}
expected = {
    "commit": ("_FENCED", True),
    "report": ("INVALID_PRODUCER_EPOCH", False),
    "produce": ("_FATAL", False),
}
assert seen == expected and afterwards.code() == KafkaError._FATAL, seen
print("expected: once a producer is fenced, fatal() is True of each of its errors")
print(f"seen: {', '.join(f'{where}: {name}, fatal() {fatal}' for where, (name, fatal) in seen.items())}")
PYTHON
