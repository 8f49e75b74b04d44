"""The fields of a request's head: how large they were on their way, and those that offer another protocol."""

from collections.abc import Iterable
from typing import Final

OFFER: Final = frozenset({b"upgrade", b"http2-settings"})
"""The headers of an offer, and the words for them in `Connection`."""


def size(headers: Iterable[tuple[bytes, bytes]]) -> int:
    """The bytes that the headers took on their way."""
    return sum(len(name) + len(value) + 4 for name, value in headers)


def without_offer(headers: Iterable[tuple[bytes, bytes]]) -> Iterable[tuple[bytes, bytes]]:
    """The headers but those of an offer, which `Connection` does not name any more either."""
    for name, value in headers:
        if name == b"connection":
            yield name, b",".join(word for word in value.split(b",") if word.strip().lower() not in OFFER)
        elif name not in OFFER:
            yield name, value
