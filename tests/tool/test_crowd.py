"""What a crowd reports: the answers of its time, whenever their posts were sent."""

from harness.crowd import Crowd, Sent

BEGAN = 1_000.0


def _sent(at: float, seconds: float | None, status: int | None) -> Sent:
    return Sent(BEGAN + at, {}, None if seconds is None else BEGAN + at + seconds, status)


def test_goodput_is_what_was_answered_in_the_time_though_some_is_always_on_its_way() -> None:
    crowd = Crowd(0, 4, seconds=2.0)
    # One a second, each answered after 1.5 s: as many are on their way at the beginning as at the end.
    crowd.sent = [_sent(at, 1.5 if at + 1.5 < 2 else None, 202 if at + 1.5 < 2 else None) for at in (-2, -1, 0, 1)]

    seen = crowd._summed(BEGAN, cores=0.1)

    assert (seen.offered_a_second, seen.accepted_a_second) == (1.0, 1.0)
    assert (seen.accepted, seen.in_doubt) == (3, 1)
    assert seen.accepted_p99_seconds == 1.5


def test_refusals_and_other_answers_are_counted_apart() -> None:
    crowd = Crowd(0, 4, seconds=1.0)
    crowd.sent = [_sent(-1, 0.1, 422), _sent(0, 0.1, 503), _sent(0, 0.1, 503), _sent(0, 0.1, 422), _sent(0, 0.2, 202)]

    seen = crowd._summed(BEGAN, cores=0.1)

    assert (seen.accepted_a_second, seen.refused_a_second, seen.other) == (1.0, 2.0, 1)
