"""One message is skipped, and no other."""

from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from harness.broker import DECIDED, SUBMITTED, SUBMITTED_DLQ, Broker, RawMessage
from harness.database import Database
from harness.waiting import eventually
from prequal.core.errors import Transient, UsageError
from prequal.core.settings import StoresSettings
from prequal.core.topology import GROUPS
from prequal.ops import dead_letter_resolution, skip
from prequal.ops.dead_letter_resolution import DeadLetterSelection
from prequal.record.acts import Actor, ActorKind

GROUP = GROUPS[SUBMITTED]
ASHA = Actor(ActorKind.OPERATOR, "asha")


@pytest.fixture
def group(broker: Broker) -> Iterator[Consumer]:
    """A consumer of the group that has not joined it, and whose next message is the second of three."""
    broker.publish(SUBMITTED, [RawMessage(b"%d" % number, partition=0) for number in range(3)])
    consumer = Consumer({"bootstrap.servers": broker.bootstrap_servers, "group.id": GROUP, "log_level": 0})
    eventually(lambda: commits(consumer, 1))  # the broker may still count a member of an earlier test
    yield consumer
    consumer.close()


def commits(consumer: Consumer, offset: int) -> bool:
    try:
        consumer.commit(offsets=[TopicPartition(SUBMITTED, 0, offset)], asynchronous=False)
    except KafkaException as error:
        if error.args[0].code() == KafkaError.UNKNOWN_MEMBER_ID:
            return False
        raise
    return True


def do_skip(stores: StoresSettings, partition: int, offset: int, because: str = "it crashes") -> None:
    skip.skip(stores, SUBMITTED, partition, offset, because=because, by=ASHA)


def committed(group: Consumer) -> int:
    (place,) = group.committed([TopicPartition(SUBMITTED, 0)], timeout=10)
    return place.offset


def records(database: Database) -> list[tuple[Any, ...]]:
    rows = database.rows("SELECT * FROM resolved_dead_letters")
    return [
        tuple(row[name] for name in ("action", "topic", "partition", "offset", "reason", "resolved_by")) for row in rows
    ]


def test_next_message_is_skipped_and_recorded(stores: StoresSettings, database: Database, group: Consumer) -> None:
    do_skip(stores, 0, 1)

    assert committed(group) == 2
    assert records(database) == [("skipped", SUBMITTED, 0, 1, "it crashes", "asha")]
    assert dead_letter_resolution.find(stores, DeadLetterSelection()) == []


def test_skipped_message_hides_no_dead_letter_of_the_status(
    stores: StoresSettings, broker: Broker, group: Consumer, prequal: Any
) -> None:
    broker.publish(SUBMITTED_DLQ, [RawMessage(b"{", partition=0) for _ in range(2)])

    do_skip(stores, 0, 1)

    assert prequal("status", "--json")["dead_letters"] == 2


def test_message_is_skipped_on_the_command_line(prequal: Any, group: Consumer) -> None:
    done = prequal("dlq", "skip", SUBMITTED, "0", "1", "--because", "it crashes")

    assert done.exit_code == 0, done.output
    assert done.stdout == f"{SUBMITTED} 0 1 is skipped: start the consumers again.\n"
    assert committed(group) == 2


@pytest.mark.parametrize("topic", [DECIDED, SUBMITTED_DLQ, "any"])
def test_message_of_a_topic_that_no_consumer_of_ours_reads_is_not_skipped(prequal: Any, topic: str) -> None:
    done = prequal("dlq", "skip", topic, "0", "1", "--because", "it crashes")

    assert isinstance(done.exception, UsageError)
    assert str(done.exception) == f"TOPIC `{topic}` is none of the topics {' and '.join(GROUPS)}."


@pytest.mark.parametrize(
    ("place", "words"),
    [
        pytest.param(("0", "2"), "is 1, not 2", id="not the next one"),
        pytest.param(("7", "0"), "no partition 7", id="no partition"),
    ],
)
def test_message_that_is_not_the_next_one_is_refused_on_the_command_line(
    prequal: Any, group: Consumer, place: tuple[str, str], words: str
) -> None:
    done = prequal("dlq", "skip", SUBMITTED, *place, "--because", "it crashes")

    assert isinstance(done.exception, UsageError)
    assert words in str(done.exception)
    assert committed(group) == 1


@pytest.mark.parametrize(
    ("partition", "offset", "words"),
    [
        pytest.param(0, 0, "is 1, not 0", id="the one before"),
        pytest.param(0, 2, "is 1, not 2", id="the one behind"),
        pytest.param(1, 0, "no message at offset 0", id="none there"),
        pytest.param(7, 0, "no partition 7", id="no partition"),
    ],
)
def test_no_other_message_is_skipped(
    stores: StoresSettings, database: Database, group: Consumer, partition: int, offset: int, words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        do_skip(stores, partition, offset)

    assert (committed(group), records(database)) == (1, [])


@pytest.mark.parametrize("because", ["", "  ", "ABCDE1234F"])
def test_skip_without_a_reason_is_refused(
    stores: StoresSettings, database: Database, group: Consumer, because: str
) -> None:
    with pytest.raises(UsageError, match=r"^The reason "):
        do_skip(stores, 0, 1, because)

    assert (committed(group), records(database)) == (1, [])


def test_message_is_not_skipped_while_its_group_has_running_consumers(
    stores: StoresSettings, database: Database, group: Consumer
) -> None:
    group.subscribe([SUBMITTED])
    eventually(lambda: group.poll(0.1) is not None or group.assignment())

    with pytest.raises(UsageError, match="has running consumers"):
        do_skip(stores, 0, 1)

    assert records(database) == []


def test_broker_that_is_away_is_said(stores: StoresSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(skip, "ANSWER_SECONDS", 0.5)
    away = stores.model_copy(update={"kafka_bootstrap_servers": "127.0.0.1:1"})

    with pytest.raises(Transient, match="does not answer"):
        do_skip(away, 0, 1)
