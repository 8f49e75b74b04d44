import pytest

from prequal.core.errors import Invalid
from prequal.messaging import retries
from prequal.messaging.events import CreditReportGenerated
from prequal.messaging.messages import Received, Undecodable
from prequal.messaging.offset_tracker import Partition
from prequal.messaging.retries import RetrySchedule
from tests.builders import a_message, a_report_message
from tests.unit.messaging.test_consumer import Clock


def received(partition: int = 0, **headers: bytes | None) -> Received[CreditReportGenerated]:
    message = a_message(a_report_message(), partition=partition, offset=7, headers=list(headers.items()))
    return Received(message, CreditReportGenerated.decode(message.value()))


def test_a_message_in_hand_knows_its_place() -> None:
    taken = Undecodable(a_message(topic="t", partition=2, offset=71), Invalid("malformed_json", "x"))

    assert (taken.partition, taken.offset, taken.attempts) == (("t", 2), 71, 1)


def test_a_header_is_its_text() -> None:
    assert received(correlation_id=b"request-1").header("correlation_id") == "request-1"


@pytest.mark.parametrize("value", [None, b"x" * 129, b"\xff", "é".encode(), b"ABCDE1234F", b"id-abcde1234f"])
def test_a_header_that_is_not_sane_counts_as_missing(value: bytes | None) -> None:
    assert received(correlation_id=value).header("correlation_id") is None


@pytest.mark.parametrize("value", [b"a\x00b", b"a\nb", b"\x7f"])
def test_a_header_with_control_characters_counts_as_missing(value: bytes) -> None:
    assert received(correlation_id=value).header("correlation_id") is None


def test_a_header_of_128_bytes_is_its_text() -> None:
    assert received(traceparent=b"x" * 128).header("traceparent") == "x" * 128


def test_a_header_that_is_not_there_is_missing() -> None:
    assert received(traceparent=b"00-x").header("correlation_id") is None


class Thing:
    def __init__(self, partition: Partition = ("topic", 0)) -> None:
        self.partition = partition


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(retries, "monotonic", clock)
    return clock


def test_a_thing_waits_until_its_time(clock: Clock) -> None:
    waiting = RetrySchedule[Thing]()
    thing = Thing()
    waiting.add(thing, 1001.0)
    before = waiting.due()

    clock.now = 1001.0

    assert (before, waiting.due()) == ([], [thing])


def test_a_thing_that_is_due_stays_until_it_is_removed(clock: Clock) -> None:
    waiting = RetrySchedule[Thing]()
    things = [Thing(), Thing()]
    for thing in things:
        waiting.add(thing, clock.now)

    waiting.remove(things[0])

    assert (list(waiting), waiting.due(), len(waiting)) == ([things[1]], [things[1]], 1)


def test_removing_what_does_not_wait_does_no_harm() -> None:
    waiting = RetrySchedule[Thing]()

    waiting.remove(Thing())

    assert not waiting


def test_the_next_is_the_one_that_is_due_first() -> None:
    waiting = RetrySchedule[Thing]()
    for moment in (7.0, 3.0, 5.0):
        waiting.add(Thing(), moment)

    assert waiting.next_at() == 3.0
    assert RetrySchedule[Thing]().next_at() is None


def test_things_of_revoked_partitions_are_dropped() -> None:
    waiting = RetrySchedule[Thing]()
    ours, theirs = Thing(("topic", 0)), Thing(("topic", 1))
    waiting.add(ours, 0.0)
    waiting.add(theirs, 0.0)

    waiting.drop({("topic", 1), ("topic", 2)})

    assert list(waiting) == [ours]
