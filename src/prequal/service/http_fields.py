"""The fields of a request's head: each whole, how large they were on their way, and which offer another protocol."""

from collections.abc import Iterable
from typing import Final

OFFER: Final = frozenset({b"upgrade", b"http2-settings"})
"""The headers of an offer, and the words for them in `Connection`."""


WITHOUT_SPACE: Final = {ord(" "): None, ord("\t"): None}
"""For `str.translate`: what may stand between the parts of a field (RFC 9110, 5.6.3)."""


def combined(headers: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """The fields by name; of several lines one list, as they are meant (RFC 9110, 5.3); the same line twice is one."""
    found: dict[bytes, bytes] = {}
    for name, value in headers:
        earlier = found.get(name, value)
        found[name] = value if earlier == value else earlier + b", " + value
    return found


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
