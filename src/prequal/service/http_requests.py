"""What a request brings: its head's fields, each whole, and its body, read within bounds.

Invariant: no body holds more memory than its reader allows, nor a connection for longer than ten seconds.
"""

import asyncio
import functools
from collections.abc import Iterable, Mapping
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from prequal.core.errors import Refused

OFFER: Final = frozenset({b"upgrade", b"http2-settings"})
"""The headers of an offer, and the words for them in `Connection`."""
WITHOUT_SPACE: Final = {ord(" "): None, ord("\t"): None}
"""For `str.translate`: what may stand between the parts of a field (RFC 9110, 5.6.3)."""
BODY_SECONDS: Final = 10.0
"""Within which a request's body must be whole, once its head was read."""

UTF_8: Final = frozenset({b"utf-8", b"utf8", b"us-ascii"})
"""Names of UTF-8 and of what is a part of it."""


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


class TooLarge(Refused):
    """The body is too large."""


class TooSlow(Refused):
    """The body did not come within 10 seconds."""


async def read_body(request: Request, most: int) -> bytes:
    """The body, of at most so many bytes.

    Raises:
        TooLarge: it has more.
        TooSlow: it is not whole in time.
        ClientDisconnect: nobody waits for an answer any more; `gone` handles it, as an application's handler.
    """
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for part in request.stream():
                body += part
                if len(body) > most:
                    raise TooLarge
    except TimeoutError:
        raise TooSlow from None
    return bytes(body)


class NoAnswer(Response):
    """What a client is sent who has gone: nothing."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send nothing."""


async def gone(_: Request, __: Exception) -> Response:
    """Answer `ClientDisconnect`: that a client hangs up is no fault of ours."""
    return NoAnswer()


def is_json(headers: Mapping[bytes, bytes]) -> bool:
    """Whether the body's bytes are JSON as they stand; parameters mean nothing to JSON (RFC 8259, 11)."""
    return _is_json(headers.get(b"content-type", b""), headers.get(b"content-encoding", b"identity"))


@functools.lru_cache(maxsize=64)
def _is_json(content_type: bytes, content_encoding: bytes) -> bool:
    kind, *parameters = content_type.lower().translate(None, b" \t").split(b";")
    charsets = {each.removeprefix(b"charset=").strip(b'"') for each in parameters if each.startswith(b"charset=")}
    return kind == b"application/json" and charsets <= UTF_8 and content_encoding.lower() == b"identity"
