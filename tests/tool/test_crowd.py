"""What a crowd reports: the answers of its time, whenever their posts were sent, and what came due and was not sent."""

from collections.abc import Callable

import pytest

from harness import crowd as module
from harness.crowd import Crowd, Sent
from tests.tool.scripted import ACCEPTED, HEALTHY, Scripted

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


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WARM_SECONDS", 0.2)
    monkeypatch.setattr(module, "LAST_ANSWERS_SECONDS", 0.2)


def _answers(post: bytes) -> Callable[[bytes], bytes]:
    """Each post is answered so, and each probe that all is well."""
    return lambda request: HEALTHY if request.startswith(b"GET") else post


@pytest.mark.usefixtures("quick")
async def test_what_comes_due_while_no_connection_is_idle_is_counted_as_not_sent() -> None:
    with Scripted(_answers(b"")) as silent:
        seen = await Crowd(silent.port, 4, seconds=0.5, rate=100.0).run()

    assert seen.in_doubt == 4  # one on each connection
    assert seen.not_sent == pytest.approx(50, abs=15)


@pytest.mark.usefixtures("quick")
async def test_what_comes_due_is_sent_while_a_connection_is_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LAST_ANSWERS_SECONDS", 10.0)
    with Scripted(_answers(ACCEPTED)) as healthy:  # as many as come due at once if the machine stands still
        seen = await Crowd(healthy.port, 100, seconds=0.5, rate=100.0).run()

    assert seen.offered_a_second == pytest.approx(100, rel=0.3)
    assert (seen.not_sent, seen.in_doubt, seen.lost) == (0, 0, 0)


@pytest.mark.parametrize("rate", [None, 50.0])
@pytest.mark.usefixtures("quick")
async def test_connections_that_are_cut_are_counted_from_the_beginning(rate: float | None) -> None:
    with Scripted(_answers(b""), requests=1) as cutting:
        seen = await Crowd(cutting.port, 2, seconds=0.5, rate=rate).run()

    assert seen.lost > 0
