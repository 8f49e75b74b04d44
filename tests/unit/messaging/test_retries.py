import asyncio
from typing import Any

import pytest

from prequal.core.errors import UnknownKey
from prequal.messaging import retries
from prequal.messaging.events import CreditReportGenerated
from prequal.messaging.messages import Received
from prequal.messaging.offset_tracker import Partition
from prequal.messaging.retries import Retries, RetrySchedule
from tests.builders import a_message, a_report_message
from tests.unit.messaging.test_consumer import Clock


class Thing:
    def __init__(self, partition: Partition = ("topic", 0)) -> None:
        self.partition = partition


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(retries, "monotonic", clock)
    return clock


def test_thing_waits_until_its_time(clock: Clock) -> None:
    schedule = RetrySchedule[Thing]()
    thing = Thing()
    schedule.add(thing, 1001.0)
    before = schedule.due()

    clock.now = 1001.0

    assert (before, schedule.due()) == ([], [thing])


def test_thing_that_is_due_stays_until_it_is_removed(clock: Clock) -> None:
    schedule = RetrySchedule[Thing]()
    things = [Thing(), Thing()]
    for thing in things:
        schedule.add(thing, clock.now)

    schedule.remove(things[0])

    assert (list(schedule), schedule.due()) == ([things[1]], [things[1]])


def test_removing_a_thing_that_does_not_wait_does_no_harm() -> None:
    schedule = RetrySchedule[Thing]()

    schedule.remove(Thing())

    assert not list(schedule)


def test_next_is_the_one_that_is_due_first() -> None:
    schedule = RetrySchedule[Thing]()
    for moment in (7.0, 3.0, 5.0):
        schedule.add(Thing(), moment)

    assert schedule.next_at() == 3.0
    assert RetrySchedule[Thing]().next_at() is None


def test_things_of_revoked_partitions_are_dropped() -> None:
    schedule = RetrySchedule[Thing]()
    ours, theirs = Thing(("topic", 0)), Thing(("topic", 1))
    schedule.add(ours, 0.0)
    schedule.add(theirs, 0.0)

    schedule.drop({("topic", 1), ("topic", 2)})

    assert list(schedule) == [ours]


def a_received(offset: int = 7) -> Received[CreditReportGenerated]:
    message = a_message(a_report_message(), topic="topic", partition=0, offset=offset)
    return Received(message, [], CreditReportGenerated.decode(message.value()))


def waiting(count: int) -> tuple[Retries[CreditReportGenerated], list[asyncio.Future[Any]]]:
    """Messages that wait for answers."""
    kept = Retries[CreditReportGenerated]()
    answers = [asyncio.get_running_loop().create_future() for _ in range(count)]
    for answer in answers:
        kept.wait_for_answer(a_received(), answer)
    return kept, answers


async def test_message_is_taken_once_its_own_answer_has_come() -> None:
    kept, answers = waiting(3)

    answers[1].set_result(700)
    await asyncio.sleep(0)

    (taken,) = kept.take_answered(10)
    assert (taken.answer, kept.awaiting) == (answers[1], 2)


async def test_messages_that_were_revoked_make_no_other_one_be_taken_without_its_answer() -> None:
    kept, _ = waiting(50)
    kept.drop({("topic", 0)})
    await asyncio.sleep(0.01)

    kept.take_answered(10)
    for _ in range(50):
        kept.wait_for_answer(a_received(), asyncio.get_running_loop().create_future())

    assert kept.take_answered(50) == []
    assert kept.awaiting == 50


async def test_answer_that_has_come_is_not_given_up(clock: Clock) -> None:
    kept, answers = waiting(2)
    answers[0].set_result(700)
    await asyncio.sleep(0)
    clock.now += 31

    given_up = kept.give_up_waiting(30)

    assert [received.answer for received in given_up] == [answers[1]]
    assert [received.answer for received in kept.take_answered(10)] == [answers[0]]


def test_waiting_for_a_key_takes_none_of_the_tries_after_a_failure() -> None:
    kept, received = Retries[CreditReportGenerated](), a_received()
    for _ in range(3):
        kept.wait_for_key(received, UnknownKey("a key"))
        kept.remove(received)

    refused = []
    for _ in range(4):
        refused.append(kept.retry(received, RuntimeError()))
        kept.remove(received)

    assert [each is None for each in refused] == [True, True, True, False]
    assert received.attempts == 7
