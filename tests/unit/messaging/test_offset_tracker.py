from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from prequal.messaging.offset_tracker import MessagePlace, OffsetTracker, Partition

ONE: Partition = ("topic", 0)
OTHER: Partition = ("topic", 1)


def a_tracker(*offsets: int, partition: Partition = ONE) -> OffsetTracker:
    tracker = OffsetTracker()
    for offset in offsets:
        tracker.track(partition, offset)
    return tracker


def test_offset_moves_past_acknowledged_messages() -> None:
    tracker = a_tracker(5, 6, 7)
    tracker.acknowledge(ONE, 5)
    tracker.acknowledge(ONE, 6)

    assert tracker.advance() == [(ONE, 7)]


def test_offset_never_moves_past_an_unacknowledged_message() -> None:
    tracker = a_tracker(5, 6, 7)
    tracker.acknowledge(ONE, 6)
    tracker.acknowledge(ONE, 7)

    assert tracker.advance() == []


def test_late_acknowledgement_lets_the_offset_catch_up() -> None:
    tracker = a_tracker(5, 6, 7)
    for offset in (7, 6, 5):
        tracker.acknowledge(ONE, offset)

    assert tracker.advance() == [(ONE, 8)]


def test_offset_is_returned_once() -> None:
    tracker = a_tracker(5)
    tracker.acknowledge(ONE, 5)
    tracker.advance()

    assert tracker.advance() == []


def test_gaps_between_offsets_are_no_obstacle() -> None:
    tracker = a_tracker(5, 9, 400)
    tracker.acknowledge(ONE, 5)
    tracker.acknowledge(ONE, 9)

    assert tracker.advance() == [(ONE, 10)]


def test_next_is_one_past_the_last_consumed_of_its_partition_until_it_is_dropped() -> None:
    tracker = a_tracker(5, 6)
    tracker.track(OTHER, 40)
    before = tracker.next(ONE), tracker.next(OTHER)
    tracker.drop(ONE)

    assert (before, tracker.next(ONE), tracker.next(OTHER)) == ((7, 41), 0, 41)


def test_end_that_is_reached_is_its_partitions_alone() -> None:
    tracker = a_tracker(5)
    tracker.track(OTHER, 40)
    tracker.acknowledge(ONE, 5)
    tracker.reach(ONE, 8)
    tracker.reach(OTHER, 41)

    assert (tracker.next(ONE), tracker.advance()) == (8, [(ONE, 8)])


def test_nothing_of_an_unknown_partition_is_tracked() -> None:
    assert (OTHER, 5) not in a_tracker(5)


def test_partitions_move_by_themselves() -> None:
    tracker = a_tracker(5)
    tracker.track(OTHER, 8)
    tracker.acknowledge(OTHER, 8)

    assert tracker.advance() == [(OTHER, 9)]


def test_message_of_a_revoked_partition_is_not_acknowledged_and_moves_no_offset() -> None:
    tracker = a_tracker(5)
    tracker.drop(ONE)
    tracker.acknowledge(ONE, 5)

    assert tracker.advance() == []
    assert len(tracker) == 0


def test_dropping_a_partition_without_messages_does_no_harm() -> None:
    tracker = a_tracker(5)

    tracker.drop(OTHER)

    assert (ONE, 5) in tracker


def test_message_is_tracked_until_the_offset_has_moved_past_it() -> None:
    tracker = a_tracker(5, 6)
    tracker.acknowledge(ONE, 5)
    tracked = [(ONE, offset) in tracker for offset in (4, 5, 6)]

    tracker.advance()

    assert tracked == [False, True, True]
    assert [(ONE, offset) in tracker for offset in (4, 5, 6)] == [False, False, True]


def test_length_counts_messages_that_no_offset_has_passed() -> None:
    tracker = a_tracker(5, 6)
    tracker.track(OTHER, 1)
    tracker.acknowledge(ONE, 6)
    tracker.advance()

    assert len(tracker) == 3


def test_offset_moves_past_transaction_markers_behind_the_last_message() -> None:
    tracker = a_tracker(5, 6)
    for offset in (5, 6):
        tracker.acknowledge(ONE, offset)

    tracker.reach(ONE, 9)

    assert tracker.advance() == [(ONE, 9)]
    assert len(tracker) == 0


def test_offset_waits_behind_markers_for_the_messages_before_them() -> None:
    tracker = a_tracker(5, 6)
    tracker.reach(ONE, 9)
    tracker.acknowledge(ONE, 6)
    before = tracker.advance()

    tracker.acknowledge(ONE, 5)

    assert (before, tracker.advance()) == ([], [(ONE, 9)])


def test_end_right_behind_the_last_message_acknowledges_nothing() -> None:
    tracker = a_tracker(5, 6)

    tracker.reach(ONE, 7)

    assert (len(tracker), tracker.advance()) == (2, [])


def test_end_of_an_empty_partition_moves_no_offset() -> None:
    tracker = OffsetTracker()

    tracker.reach(ONE, 0)

    assert tracker.advance() == []


class TrackerAgainstABroker(RuleBasedStateMachine):
    """Whatever happens in whatever order, a restart would read every unacknowledged message again."""

    messages: Bundle[MessagePlace] = Bundle("messages")

    def __init__(self) -> None:
        super().__init__()
        self.tracker = OffsetTracker()
        self.stored: dict[Partition, int] = {ONE: 0, OTHER: 0}
        self.next: dict[Partition, int] = {ONE: 0, OTHER: 0}
        self.unacknowledged: set[MessagePlace] = set()

    @initialize()
    def start(self) -> None:
        assert len(self.tracker) == 0

    @rule(target=messages, partition=st.sampled_from([ONE, OTHER]), gap=st.integers(0, 2))
    def consume(self, partition: Partition, gap: int) -> MessagePlace:
        offset = self.next[partition] + gap
        self.next[partition] = offset + 1
        self.tracker.track(partition, offset)
        self.unacknowledged.add((partition, offset))
        return partition, offset

    @rule(message=messages)
    def acknowledge(self, message: MessagePlace) -> None:
        partition, offset = message
        self.tracker.acknowledge(partition, offset)
        self.unacknowledged.discard(message)

    @rule(partition=st.sampled_from([ONE, OTHER]), markers=st.integers(0, 2))
    def reach_the_end(self, partition: Partition, markers: int) -> None:
        if self.next[partition] + markers == self.stored[partition]:
            return  # nothing came since the assignment: the end is the stored offset itself
        self.next[partition] += markers
        self.tracker.reach(partition, self.next[partition])

    @rule()
    def advance(self) -> None:
        for partition, end in self.tracker.advance():
            assert end > self.stored[partition]
            self.stored[partition] = end

    @rule(partition=st.sampled_from([ONE, OTHER]))
    def revoke_and_assign_again(self, partition: Partition) -> None:
        self.tracker.drop(partition)
        self.next[partition] = self.stored[partition]
        self.unacknowledged = {message for message in self.unacknowledged if message[0] != partition}

    @invariant()
    def no_offset_is_past_an_unacknowledged_message(self) -> None:
        assert all(self.stored[partition] <= offset for partition, offset in self.unacknowledged)

    @invariant()
    def unacknowledged_messages_are_counted(self) -> None:
        assert self.tracker.unacknowledged == len(self.unacknowledged)

    def teardown(self) -> None:
        """In the end every offset has moved."""
        for partition, offset in self.unacknowledged:
            self.tracker.acknowledge(partition, offset)
        for partition, end in self.tracker.advance():
            self.stored[partition] = end
        assert len(self.tracker) == 0


TrackerAgainstABroker.TestCase.settings = settings(max_examples=80, stateful_step_count=30, deadline=None)
TestTrackerAgainstABroker: Any = TrackerAgainstABroker.TestCase
