"""How many requests of each client are let through, on a clock of the test's own."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prequal.api.errors import ApiError
from prequal.api.known_clients import Caller
from prequal.api.rate_limits import REPEATS, REPEATS_SECONDS, RateLimits
from prequal.domain.api_client import ClientScope
from prequal.telemetry import metrics


class Clock:
    def __init__(self, now: float = 1_000_000.25) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def a_caller(rate: int | None, client: str = "k7m2xq9z") -> Caller:
    return Caller(client, frozenset(ClientScope), sandbox=False, requests_per_second=rate)


def is_let_through(take: Callable[[Caller], None], caller: Caller) -> bool:
    try:
        take(caller)
    except ApiError:
        return False
    return True


def let_through(limits: RateLimits, caller: Caller, tries: int) -> int:
    return sum(is_let_through(limits.take_request, caller) for _ in range(tries))


@pytest.mark.parametrize("rate", [1, 3, 7, 5000])
def test_client_sends_one_second_s_worth_at_once_and_then_its_rate(rate: int) -> None:
    clock = Clock()
    limits = RateLimits(clock)

    at_once = let_through(limits, a_caller(rate), rate + 10)
    clock.now += 1.0 / rate
    later = let_through(limits, a_caller(rate), 10)
    clock.now += 3600.0
    after_an_idle_hour = let_through(limits, a_caller(rate), rate + 10)

    assert (at_once, later, after_an_idle_hour) == (rate, 1, rate)


@given(
    rate=st.integers(1, 50),
    start=st.floats(0.0, 1e7),
    pauses=st.lists(st.floats(0.0, 0.5), min_size=1, max_size=150),
)
def test_no_stretch_of_time_lets_through_more_than_it_refills_and_one_bucket(
    rate: int, start: float, pauses: list[float]
) -> None:
    clock = Clock(start)
    limits = RateLimits(clock)
    times = []
    for pause in pauses:
        clock.now += pause
        if is_let_through(limits.take_request, a_caller(rate)):
            times.append(clock.now)

    for first, begin in enumerate(times):
        for last in range(first, len(times)):
            assert last - first + 1 <= rate + rate * (times[last] - begin) + 0.01


def test_client_beyond_its_rate_takes_nothing_from_another() -> None:
    limits = RateLimits(Clock())
    let_through(limits, a_caller(2, "bcdfghjk"), 10)

    assert let_through(limits, a_caller(2, "k7m2xq9z"), 10) == 2


def test_another_rate_holds_from_the_next_request_on() -> None:
    clock = Clock()
    limits = RateLimits(clock)
    let_through(limits, a_caller(2), 10)

    clock.now += 0.5

    assert let_through(limits, a_caller(100), 200) == 50


def test_refused_request_takes_nothing() -> None:
    clock = Clock()
    limits = RateLimits(clock)
    let_through(limits, a_caller(1), 1000)

    clock.now += 1.0

    assert let_through(limits, a_caller(1), 10) == 1


def test_refusal_says_when_to_come_back_and_which_limit_it_was() -> None:
    limits = RateLimits(Clock())
    counter = metrics.RATE_LIMITED.labels("requests")
    before = counter._value.get()
    limits.take_request(a_caller(1))

    with pytest.raises(ApiError) as refused:
        limits.take_request(a_caller(1))

    assert refused.value.code.name == "RATE_LIMITED"
    assert refused.value.headers == {
        "Retry-After": "1",
        "RateLimit-Policy": '"requests";q=1;w=1',
        "RateLimit": '"requests";r=0;t=1',
    }
    assert counter._value.get() == before + 1


def test_caller_without_a_rate_is_never_refused() -> None:
    assert let_through(RateLimits(Clock()), a_caller(None), 20_000) == 20_000


def test_posts_are_refused_while_too_many_repeats_are_owed_and_reads_are_not() -> None:
    clock, caller = Clock(), a_caller(5000)
    limits = RateLimits(clock)
    for _ in range(REPEATS):
        assert is_let_through(limits.take_post, caller)
        limits.note_repeat(caller)

    assert not is_let_through(limits.take_post, caller)
    assert is_let_through(limits.take_request, caller)
    assert is_let_through(limits.take_post, a_caller(5000, "bcdfghjk"))

    clock.now += REPEATS_SECONDS / REPEATS

    assert is_let_through(limits.take_post, caller)


def test_repeats_of_one_moment_owe_one_bucket_at_most() -> None:
    clock, caller = Clock(), a_caller(5000)
    limits = RateLimits(clock)
    for _ in range(50 * REPEATS):
        limits.note_repeat(caller)

    clock.now += REPEATS_SECONDS
    at_first = is_let_through(limits.take_post, caller)
    clock.now += REPEATS_SECONDS / REPEATS

    assert (at_first, is_let_through(limits.take_post, caller)) == (False, True)


def test_repeats_of_a_caller_without_a_rate_are_not_counted() -> None:
    limits = RateLimits(Clock())
    for _ in range(2 * REPEATS):
        limits.note_repeat(a_caller(None))

    assert is_let_through(limits.take_post, a_caller(None))
