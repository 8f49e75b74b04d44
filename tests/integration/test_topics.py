"""The topics as a real broker keeps them."""

import asyncio
import json
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, Producer
from typer.testing import CliRunner

from harness.broker import ALL_TOPICS, DECIDED, REPORTED, SUBMITTED, Broker, RawMessage, clients_of
from harness.database import Database
from harness.ports import free_port
from harness.stores import a_kafka
from harness.waiting import soon
from prequal.cli.app import app
from prequal.core.errors import Transient
from prequal.local.kafka import Kafka
from prequal.messaging import topics
from tests.support.consumers import deciding
from tests.support.submissions import stored

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

    assert json.loads(done.output) == {"created": [], "raised": []}


@pytest.fixture(scope="module")
def node() -> Iterator[Kafka]:
    """A broker whose topics no other module uses."""
    with a_kafka() as node:
        yield node


@pytest.fixture
def own_broker(node: Kafka) -> Iterator[Broker]:
    """Its topics, with three partitions each."""
    broker = Broker(node.bootstrap_servers)
    broker.create()
    yield broker
    broker.delete(*ALL_TOPICS)


def run(broker: Broker, partitions: int) -> str:
    environment = {"KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap_servers, "KAFKA_TOPIC_PARTITIONS": str(partitions)}
    done = CliRunner().invoke(app, ["topics"], env=environment)
    assert done.exit_code == 0, done.output
    return done.output


async def test_partitions_are_raised_under_running_consumers_and_never_lowered(
    database: Database, own_broker: Broker
) -> None:
    before, *after = stored(database, 7)
    own_broker.publish(REPORTED, [replace(before.report(), partition=2)])
    async with deciding(database, own_broker):
        await soon(lambda: database.application(before.id)["status"] != "PENDING")

        raised = await asyncio.to_thread(run, own_broker, 6)

        reports = [replace(each.report(), partition=number) for number, each in enumerate(after)]
        await asyncio.to_thread(own_broker.publish, REPORTED, reports)
        await soon(lambda: all(database.application(each.id)["status"] != "PENDING" for each in after))
    assert raised.splitlines() == [f"{topic} has 6 partitions now." for topic in sorted(ALL_TOPICS)]
    assert run(own_broker, 3) == run(own_broker, 6) == "All topics are there.\n"


def test_missing_topics_are_made_with_so_many_partitions(own_broker: Broker) -> None:
    own_broker.delete(DECIDED)

    assert f"Created {DECIDED}." in run(own_broker, 6).splitlines()

    own_broker.publish(DECIDED, [RawMessage(b"{}", partition=5)])
