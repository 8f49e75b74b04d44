"""The topics as a real broker keeps them."""

import json
import time

import pytest
from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, Producer
from typer.testing import CliRunner

from harness.broker import SUBMITTED, Broker, clients_of
from harness.ports import free_port
from prequal.cli.app import app
from prequal.core.errors import Transient
from prequal.messaging import topics

HOUR_MS = 3_600_000


def test_clock_of_a_publisher_neither_dates_a_message_nor_has_it_refused(broker: Broker) -> None:
    failures: list[object] = []
    producer = Producer({"bootstrap.servers": broker.bootstrap_servers})
    for hours in (-2, 2):
        at = int(time.time() * 1000) + hours * HOUR_MS
        producer.produce(SUBMITTED, b"{}", timestamp=at, on_delivery=lambda error, _: failures.append(error))
    assert producer.flush(10) == 0

    times = [message.timestamp() for message in broker.read(SUBMITTED, 2)]

    assert failures == [None, None]
    assert [kind for kind, _ in times] == [TIMESTAMP_LOG_APPEND_TIME] * 2
    assert all(abs(at / 1000 - time.time()) < 60 for _, at in times)


def test_broker_that_is_away_is_one_sentence_on_stderr_and_nothing_beside_it(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(topics, "ANSWER_SECONDS", 0.5)

    with pytest.raises(Transient, match="does not answer"):
        topics.create(clients_of(f"127.0.0.1:{free_port()}"))

    assert capfd.readouterr() == ("", "")


def test_created_topics_are_printed_as_json(broker: Broker) -> None:
    environment = {"KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap_servers}

    done = CliRunner().invoke(app, ["topics", "--json"], env=environment)

    assert json.loads(done.output) == {"created": []}
