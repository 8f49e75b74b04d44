"""How many refusals an address may cause within a minute."""

import pytest

from prequal.core.refused_attempts import ADDRESSES_MAX, RefusedAttempts, address_of


class Clock:
    seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def noted(wrong: RefusedAttempts, address: str, times: int) -> list[int | None]:
    return [wrong.note(address) for _ in range(times)]


def test_eleventh_refusal_is_too_many_until_the_minute_is_over() -> None:
    clock = Clock()
    wrong = RefusedAttempts(clock)

    assert noted(wrong, "a", 10) == [None] * 10
    clock.seconds += 20
    assert noted(wrong, "a", 2) == [41, 41]
    clock.seconds += 39.9
    assert noted(wrong, "a", 1) == [1]
    clock.seconds += 0.1
    assert noted(wrong, "a", 11) == [None] * 10 + [61]


def test_addresses_are_counted_apart_and_no_more_of_them_than_have_room() -> None:
    wrong = RefusedAttempts(Clock())
    noted(wrong, "a", 11)

    assert noted(wrong, "b", 1) == [None]
    for number in range(ADDRESSES_MAX):
        wrong.note(str(number))

    assert len(wrong._seen) == ADDRESSES_MAX


def test_wait_says_what_the_next_refusal_would_and_counts_none() -> None:
    clock = Clock()
    refused = RefusedAttempts(clock)
    noted(refused, "a", 9)

    assert [refused.wait("a") for _ in range(20)] == [None] * 20
    refused.note("a")
    assert (refused.wait("a"), refused.wait("b")) == (61, None)
    clock.seconds += 60
    assert refused.wait("a") is None


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("::ffff:c000:207", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
        ("no address: none", "no address: none"),
    ],
)
def test_callers_over_ipv4_have_an_address_each_on_a_listener_of_both(host: str, address: str) -> None:
    assert address_of(host) == address
