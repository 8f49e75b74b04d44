import pytest

from prequal.messaging import retries
from prequal.messaging.offset_tracker import Partition
from prequal.messaging.retries import RetrySchedule
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
