"""`core.circuit_breaker` and `core.backoff`: when a dependency is left alone, and when it is asked again."""

import pytest

from prequal.core.backoff import Backoff
from prequal.core.circuit_breaker import (
    FAILURES_MAX,
    FIRST_OPEN_SECONDS,
    LAST_OPEN_SECONDS,
    PROBE_SECONDS,
    Breaker,
    BreakerOpen,
    State,
)
from prequal.core.errors import Transient
from prequal.telemetry import metrics
from prequal.telemetry.breakers import breaker_of


class Clock:
    """A clock that stands until it is put forward."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker("a dependency", clock=clock, chance=lambda: 0.5)


def opened(breaker: Breaker) -> Breaker:
    for _ in range(FAILURES_MAX):
        breaker.failed()
    return breaker


def test_some_failures_leave_it_closed_and_a_success_forgets_them(breaker: Breaker) -> None:
    for _ in range(5):
        for _ in range(FAILURES_MAX - 1):
            breaker.failed()
        breaker.succeeded()

    assert breaker.state is State.CLOSED
    assert breaker.try_enter()


def test_failures_in_a_row_open_it_and_no_call_enters(breaker: Breaker, clock: Clock) -> None:
    opened(breaker)
    clock.now += FIRST_OPEN_SECONDS * 0.99

    assert breaker.state is State.OPEN
    assert not breaker.admits
    assert not breaker.try_enter()


def test_after_the_pause_one_probe_goes_and_no_second(breaker: Breaker, clock: Clock) -> None:
    opened(breaker)
    clock.now += FIRST_OPEN_SECONDS

    assert breaker.admits
    assert breaker.try_enter()
    assert breaker.state is State.HALF_OPEN
    assert not breaker.try_enter()


def test_a_probe_that_succeeds_closes_it(breaker: Breaker, clock: Clock) -> None:
    opened(breaker)
    clock.now += FIRST_OPEN_SECONDS
    breaker.try_enter()
    breaker.succeeded()

    assert breaker.state is State.CLOSED
    assert [breaker.try_enter() for _ in range(3)] == [True] * 3


def test_each_probe_that_fails_doubles_the_pause_up_to_the_last(breaker: Breaker, clock: Clock) -> None:
    opened(breaker)
    pause, pauses = FIRST_OPEN_SECONDS, []
    for _ in range(4):
        clock.now += pause
        assert breaker.try_enter()
        breaker.failed()
        pause = min(pause * 2, LAST_OPEN_SECONDS)
        clock.now += pause * 0.99
        pauses.append(breaker.admits)
        clock.now -= pause * 0.99

    assert pauses == [False] * 4
    clock.now += LAST_OPEN_SECONDS
    assert breaker.admits


def test_a_late_failure_does_not_keep_it_open_for_longer(breaker: Breaker, clock: Clock) -> None:
    opened(breaker)
    clock.now += FIRST_OPEN_SECONDS * 0.9
    breaker.failed()
    clock.now += FIRST_OPEN_SECONDS * 0.1

    assert breaker.admits


def test_a_late_success_closes_it_at_once(breaker: Breaker) -> None:
    opened(breaker).succeeded()

    assert breaker.state is State.CLOSED


def test_a_probe_without_a_reported_outcome_is_given_up(breaker: Breaker, clock: Clock) -> None:
    opened(breaker)
    clock.now += FIRST_OPEN_SECONDS
    breaker.try_enter()
    clock.now += PROBE_SECONDS

    assert breaker.try_enter()


def test_guarded_call_is_not_even_begun_while_it_is_open(breaker: Breaker) -> None:
    opened(breaker)

    with pytest.raises(BreakerOpen, match="a dependency failed 3 times in a row"), breaker.guarding(lambda _: True):
        pytest.fail("begun")
    assert issubclass(BreakerOpen, Transient)


@pytest.mark.parametrize(
    ("failure", "reason"), [(Transient("no route to it"), "no route to it"), (OSError("secret"), "OSError")]
)
def test_refusal_says_how_the_dependency_failed_and_carries_no_data(
    breaker: Breaker, failure: Exception, reason: str
) -> None:
    for _ in range(FAILURES_MAX):
        with pytest.raises(type(failure)), breaker.guarding(lambda _: True):
            raise failure

    with pytest.raises(BreakerOpen) as refused, breaker.guarding(lambda _: True):
        pytest.fail("begun")
    assert str(refused.value).endswith(f"left alone for now; at last: {reason}")


def test_only_a_failure_that_blames_the_dependency_counts(breaker: Breaker) -> None:
    for error in (ConnectionResetError, KeyError) * FAILURES_MAX:
        with pytest.raises(error), breaker.guarding(lambda error: isinstance(error, ConnectionError)):
            raise error
    seen = [breaker.state]
    for _ in range(FAILURES_MAX):
        with pytest.raises(ConnectionResetError), breaker.guarding(lambda error: isinstance(error, ConnectionError)):
            raise ConnectionResetError

    assert [*seen, breaker.state] == [State.CLOSED, State.OPEN]


def test_its_state_is_a_metric(clock: Clock) -> None:
    breaker = Breaker("a dependency", metrics.BREAKER_STATE.labels("a dependency").set, clock, lambda: 0.5)

    def shown() -> float:
        value: float = metrics.BREAKER_STATE.labels("a dependency")._value.get()
        return value

    seen = [shown()]
    opened(breaker)
    seen.append(shown())
    clock.now += FIRST_OPEN_SECONDS
    breaker.try_enter()
    seen.append(shown())
    breaker.succeeded()

    assert [*seen, shown()] == [0, 2, 1, 0]


def test_all_users_of_one_address_share_one_breaker() -> None:
    assert breaker_of("database", "here") is breaker_of("database", "here")
    assert breaker_of("database", "here") is not breaker_of("database", "there")


def test_pauses_double_to_the_last_and_begin_again_after_a_success() -> None:
    backoff = Backoff(0.1, 1.0)

    pauses = [backoff.next() for _ in range(6)]
    backoff.reset()
    pauses.append(backoff.next())

    nominal = [0.1, 0.2, 0.4, 0.8, 1.0, 1.0, 0.1]
    assert pauses == [pytest.approx(seconds, rel=0.2) for seconds in nominal]
    assert pauses != nominal
