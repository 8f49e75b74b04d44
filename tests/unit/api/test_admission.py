"""`api.admission`: what would not be written in time has no room."""

import pytest

from prequal.api.admission import FIRST_GUESS_SECONDS, AdmissionControl

WITHIN_SECONDS = 0.8


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def a_room(clock: Clock, waiting_max: int = 10_000) -> AdmissionControl:
    return AdmissionControl(WITHIN_SECONDS, waiting_max, 100, clock)


def write(room: AdmissionControl, clock: Clock, applications: int, seconds: float, times: int = 1) -> None:
    for _ in range(times):
        room.begin()
        clock.now += seconds
        room.end(applications)


def places(room: AdmissionControl) -> int:
    """How many may wait."""
    return next(waiting for waiting in range(20_000) if not room.has_room(waiting))


def test_as_many_may_wait_as_are_written_in_time() -> None:
    clock = Clock()
    room = a_room(clock)

    write(room, clock, 100, 0.1, times=50)

    assert places(room) == pytest.approx(WITHIN_SECONDS / 0.1 * 100, abs=100)


def test_before_a_full_batch_was_seen_a_guess_is_used() -> None:
    clock = Clock()
    room = a_room(clock)

    write(room, clock, 1, 0.002, times=50)

    assert places(room) == pytest.approx(WITHIN_SECONDS / FIRST_GUESS_SECONDS * 100, abs=100)


def test_no_more_than_the_setting_allows_may_wait() -> None:
    assert places(a_room(Clock(), waiting_max=7)) == 7


def test_while_a_write_is_stuck_nothing_has_room() -> None:
    clock = Clock()
    room = a_room(clock)
    room.begin()

    clock.now += WITHIN_SECONDS + 0.01

    assert not room.has_room(0)


def test_after_a_stall_there_is_room_again_within_a_few_batches() -> None:
    clock = Clock()
    room = a_room(clock)
    write(room, clock, 100, 0.05, times=20)
    before = places(room)
    write(room, clock, 100, 4.0)

    assert room.has_room(99)
    write(room, clock, 99, 0.05, times=10)

    assert places(room) > before / 2
