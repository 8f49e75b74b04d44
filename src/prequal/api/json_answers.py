"""Answers in JSON, as plain ASGI."""

from typing import TypeAlias

from starlette.types import Send

Headers: TypeAlias = list[tuple[bytes, bytes]]

NO_STORE: Headers = [(b"cache-control", b"no-store")]
_JSON_CONTENT = (b"content-type", b"application/json")


async def send_json(send: Send, status: int, body: str, headers: Headers) -> None:
    """Answer with JSON text."""
    content = body.encode()
    length = (b"content-length", b"%d" % len(content))
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length, _JSON_CONTENT]})
    await send({"type": "http.response.body", "body": content})
