"""A request's body, read within bounds.

Invariant: no body holds more memory than its reader allows, nor a connection for longer than ten seconds.
"""

import asyncio
from typing import Final

from starlette.requests import Request

from prequal.core.errors import Refused

BODY_SECONDS: Final = 10.0
"""Within which a request's body must be whole, once its head was read."""


class TooLarge(Refused):
    """The body is too large."""


class TooSlow(Refused):
    """The body did not come within 10 seconds."""


async def read_body(request: Request, most: int) -> bytes:
    """The body, of at most so many bytes.

    Raises:
        TooLarge: it has more.
        TooSlow: it is not whole in time.
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
