from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from prequal.messaging.offset_tracker import OffsetTracker, Partition

ONE: Partition = ("topic", 0)
OTHER: Partition = ("topic", 1)


def a_ledger(*offsets: int, partition: Partition = ONE) -> OffsetTracker:
    ledger = OffsetTracker()
    for offset in offsets:
        ledger.take(partition, offset)
    return ledger


def test_an_offset_moves_past_what_is_settled() -> None:
    ledger = a_ledger(5, 6, 7)
    ledger.settle(ONE, 5)
    ledger.settle(ONE, 6)

    assert ledger.advance() == [(ONE, 7)]


def test_an_offset_never_moves_past_an_unsettled_message() -> None:
    ledger = a_ledger(5, 6, 7)
    ledger.settle(ONE, 6)
    ledger.settle(ONE, 7)

    assert ledger.advance() == []


def test_a_late_settlement_lets_the_offset_catch_up() -> None:
    ledger = a_ledger(5, 6, 7)
    for offset in (7, 6, 5):
        ledger.settle(ONE, offset)

    assert ledger.advance() == [(ONE, 8)]


def test_an_offset_is_told_once() -> None:
    ledger = a_ledger(5)
    ledger.settle(ONE, 5)
    ledger.advance()

    assert ledger.advance() == []


def test_gaps_between_offsets_are_no_obstacle() -> None:
    ledger = a_ledger(5, 9, 400)
    ledger.settle(ONE, 5)
    ledger.settle(ONE, 9)

    assert ledger.advance() == [(ONE, 10)]


def test_partitions_move_by_themselves() -> None:
    ledger = a_ledger(5)
    ledger.take(OTHER, 8)
    ledger.settle(OTHER, 8)

    assert ledger.advance() == [(OTHER, 9)]


def test_what_was_taken_away_is_not_settled_and_not_told() -> None:
    ledger = a_ledger(5)
    ledger.forget(ONE)
    ledger.settle(ONE, 5)

    assert ledger.advance() == []
    assert len(ledger) == 0


def test_forgetting_what_was_never_taken_does_no_harm() -> None:
    ledger = a_ledger(5)

    ledger.forget(OTHER)

    assert (ONE, 5) in ledger


def test_a_message_is_ours_until_the_offset_has_moved_past_it() -> None:
    ledger = a_ledger(5, 6)
    ledger.settle(ONE, 5)
    held = [(ONE, offset) in ledger for offset in (4, 5, 6)]

    ledger.advance()

    assert held == [False, True, True]
    assert [(ONE, offset) in ledger for offset in (4, 5, 6)] == [False, False, True]


def test_the_length_counts_what_no_offset_has_passed() -> None:
    ledger = a_ledger(5, 6)
    ledger.take(OTHER, 1)
    ledger.settle(ONE, 6)
    ledger.advance()

    assert len(ledger) == 3


class LedgerAgainstABroker(RuleBasedStateMachine):
    """Whatever happens in whatever order, a restart would read every unsettled message again."""

    messages: Bundle[tuple[Partition, int]] = Bundle("messages")

    def __init__(self) -> None:
        super().__init__()
        self.ledger = OffsetTracker()
        self.stored: dict[Partition, int] = {ONE: 0, OTHER: 0}
        self.next: dict[Partition, int] = {ONE: 0, OTHER: 0}
        self.unsettled: set[tuple[Partition, int]] = set()

    @initialize()
    def start(self) -> None:
        assert len(self.ledger) == 0

    @rule(target=messages, partition=st.sampled_from([ONE, OTHER]), gap=st.integers(0, 2))
    def take(self, partition: Partition, gap: int) -> tuple[Partition, int]:
        offset = self.next[partition] + gap
        self.next[partition] = offset + 1
        self.ledger.take(partition, offset)
        self.unsettled.add((partition, offset))
        return partition, offset

    @rule(message=messages)
    def settle(self, message: tuple[Partition, int]) -> None:
        partition, offset = message
        self.ledger.settle(partition, offset)
        self.unsettled.discard(message)

    @rule()
    def advance(self) -> None:
        for partition, end in self.ledger.advance():
            assert end > self.stored[partition]
            self.stored[partition] = end

    @rule(partition=st.sampled_from([ONE, OTHER]))
    def revoke_and_assign_again(self, partition: Partition) -> None:
        self.ledger.forget(partition)
        self.next[partition] = self.stored[partition]
        self.unsettled = {message for message in self.unsettled if message[0] != partition}

    @invariant()
    def no_offset_is_past_an_unsettled_message(self) -> None:
        assert all(self.stored[partition] <= offset for partition, offset in self.unsettled)

    def teardown(self) -> None:
        """In the end everything settled is told."""
        for partition, offset in self.unsettled:
            self.ledger.settle(partition, offset)
        for partition, end in self.ledger.advance():
            self.stored[partition] = end
        assert len(self.ledger) == 0


LedgerAgainstABroker.TestCase.settings = settings(max_examples=80, stateful_step_count=30, deadline=None)
TestLedgerAgainstABroker: Any = LedgerAgainstABroker.TestCase
