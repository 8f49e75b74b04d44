"""The consumers on topics to which a transactional producer has written, as exactly-once connectors do."""

import json
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from confluent_kafka import Producer

from harness.broker import REPORTED, Broker, clients_of
from harness.database import Database
from harness.waiting import eventually, soon
from prequal.core.topology import GROUPS
from prequal.messaging import unseen_messages
from prequal.messaging.consumer_lag import Offsets
from prequal.telemetry import metrics
from tests.support.consumers import deciding
from tests.support.submissions import stored

SECONDS = 10.0


@pytest.fixture
def transactional(broker: Broker) -> Producer:
    settings = {"bootstrap.servers": broker.bootstrap_servers, "transactional.id": str(uuid4()), "log_level": 0}
    producer = Producer(settings)
    producer.init_transactions(2 * SECONDS)
    return producer


def rebuilds() -> float:
    return float(metrics.RETRIES.labels("consumer")._value.get())


async def test_offset_moves_past_the_marker_of_a_transaction(
    database: Database, broker: Broker, transactional: Producer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unseen_messages, "CHECK_EVERY_SECONDS", 1.0)
    (submission,) = stored(database)
    before = rebuilds()
    transactional.begin_transaction()
    transactional.produce(REPORTED, submission.report(700).value, partition=0)
    transactional.commit_transaction(SECONDS)
    transactional.begin_transaction()
    transactional.produce(REPORTED, b"aborted", partition=1)
    transactional.flush(SECONDS)
    transactional.abort_transaction(SECONDS)

    async with deciding(database, broker) as consuming:
        await soon(consuming.all_handled)

        assert database.application(submission.id)["status"] != "PENDING"
        assert consuming.consumer.reason_not_ready() is None
        assert consuming.handled() == 4
    assert rebuilds() == before


async def test_open_transaction_is_the_reason_for_not_being_ready_until_it_ends(
    database: Database, broker: Broker, transactional: Producer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unseen_messages, "CHECK_EVERY_SECONDS", 0.5)
    (submission,) = stored(database)
    before = rebuilds()
    transactional.begin_transaction()
    transactional.produce(REPORTED, b"not committed", partition=0)
    transactional.flush(SECONDS)
    broker.publish(REPORTED, [submission.report(700, partition=0)])

    async with deciding(database, broker) as consuming:
        reason = await soon(lambda: consuming.reason_with("transaction"))
        assert metrics.PARTITIONS_IN_TRANSACTION._value.get() == 1
        transactional.abort_transaction(SECONDS)
        await soon(lambda: database.application(submission.id)["status"] != "PENDING")
        await soon(lambda: consuming.consumer.reason_not_ready() is None)

    assert reason == f"partition 0 of {REPORTED} is held by an open transaction"
    assert rebuilds() == before


@pytest.mark.usefixtures("offsets_are_waited_for")
def test_lag_ends_at_the_last_stable_offset(broker: Broker, transactional: Producer) -> None:
    transactional.begin_transaction()
    transactional.produce(REPORTED, b"not committed", partition=0)
    transactional.flush(SECONDS)
    offsets = Offsets(clients_of(broker.bootstrap_servers))

    lag = eventually(lambda: offsets.lag())

    assert lag[GROUPS[REPORTED], REPORTED, "0"] == 0
    offsets.close()
    transactional.abort_transaction(SECONDS)


@pytest.mark.usefixtures("offsets_are_waited_for")
@pytest.mark.parametrize(
    ("question", "is_of_the_group"), [(Offsets.lag, True), (Offsets.dead_letters, False)], ids=["lag", "dead letters"]
)
def test_question_takes_two_requests_for_offsets_whatever_the_number_of_partitions(
    broker: Broker, question: Callable[[Offsets], object], is_of_the_group: bool
) -> None:
    known = Offsets(clients_of(broker.bootstrap_servers))
    eventually(lambda: question(known))  # the broker may not know the topics yet that have just been created
    known.close()
    said: list[str] = []
    hear: Any = said.append
    offsets = Offsets(clients_of(broker.bootstrap_servers))
    offsets._settings |= {"statistics.interval.ms": 100, "stats_cb": hear}
    question(offsets)

    client = offsets._consumers[GROUPS[REPORTED]]
    eventually(lambda: client.poll(0) or said)

    made = [each["req"] for each in json.loads(said[-1])["brokers"].values()]
    offsets.close()
    assert sum(each["ListOffsets"] for each in made) == 2
    assert any(each["OffsetFetch"] for each in made) is is_of_the_group
