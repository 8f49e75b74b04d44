"""Counts of refused attempts by address, within a minute.

Invariant: it holds a bounded number of addresses, and an address is one that a caller cannot leave at will.
"""

from collections.abc import Callable
from ipaddress import IPv6Address, IPv6Network
from time import monotonic
from typing import Final

ATTEMPTS_MAX: Final = 10
"""So many refusals a minute and address are answered as such; more, as too many."""
WINDOW_SECONDS: Final = 60.0
ADDRESSES_MAX: Final = 10_000
"""Of so many addresses refusals are counted; then the oldest is forgotten."""
IPV6_PREFIX: Final = 64
"""What one caller is given of IPv6."""


class RefusedAttempts:
    """Counts of refusals by address, each since its first one of the last minute."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        """Begin without any; `clock` gives seconds from anywhere."""
        self._clock = clock
        self._seen: dict[str, tuple[float, int]] = {}

    def note(self, address: str) -> int | None:
        """Count one; once there are too many, the seconds after which it is worth trying again."""
        now = self._clock()
        began, count = self._count(address, now)
        self._seen.pop(address, None)  # the one that was noted last is forgotten last
        self._seen[address] = began, min(count, ATTEMPTS_MAX) + 1
        if len(self._seen) > ADDRESSES_MAX:
            self._seen.pop(next(iter(self._seen)))
        return _seconds(began, count, now)

    def wait(self, address: str) -> int | None:
        """What `note` would say, without counting one."""
        now = self._clock()
        return _seconds(*self._count(address, now), now)

    def _count(self, address: str, now: float) -> tuple[float, int]:
        """When the address's minute began, and how many came in it."""
        began, count = self._seen.get(address, (now, 0))
        return (began, count) if now - began < WINDOW_SECONDS else (now, 0)


def _seconds(began: float, count: int, now: float) -> int | None:
    return None if count < ATTEMPTS_MAX else int(began + WINDOW_SECONDS - now) + 1


def address_of(host: str) -> str:
    """The address that a caller cannot leave at will: of IPv6 the network that he was given.

    A listener of both shows a caller over IPv4 as `::ffff:192.0.2.7`: that is his IPv4 address.
    """
    if ":" not in host:
        return host
    try:
        address = IPv6Address(host.partition("%")[0])
    except ValueError:
        return host
    return str(address.ipv4_mapped or IPv6Network((address.packed, IPV6_PREFIX), strict=False))
