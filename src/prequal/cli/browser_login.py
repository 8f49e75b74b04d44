"""`prequal login --browser`: what the organisation's issuer sends to this machine, in a browser (RFC 8252).

Invariant: only what belongs to the sign-in that was begun here ends the wait, and nothing of it is printed.
"""

import threading
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import typer

from prequal.cli import signed_in
from prequal.core.errors import Refused, Transient, UsageError

SECONDS: Final = 600.0
"""So long is waited; the console takes no later answer."""
PATH: Final = "/callback"
_PAGE: Final = b"<!doctype html><title>prequal</title><p>You may close this page, and go on at the command line."
_FIELDS: Final = ("code", "state", "iss")


def login(console: str, port: int) -> Any:
    """What the console answers to a sign-in that is finished in a browser; `port` 0 is any that is free.

    Raises:
        UsageError: the port is taken.
        Refused: the issuer or the console refuses, or nobody finished it in time.
        Transient: the console does not answer.
    """
    with _listening(port) as callback:
        begun = signed_in.call(console, "POST", "/session/issuer/attempts", {"port": callback.server_port})
        callback.expect(begun["address"])
        typer.echo(f"Sign in in your browser; if none opens, go on this machine to\n{begun['address']}", err=True)
        webbrowser.open(begun["address"])
        answer = callback.wait()
    return signed_in.call(console, "POST", "/session/issuer", {"attempt": begun["attempt"], **answer})


class _Callback(ThreadingHTTPServer):
    """The port that the issuer leads the browser back to; browsers open connections that they do not use."""

    daemon_threads = True
    state = ""
    answer: dict[str, str] | None = None

    def __init__(self, port: int) -> None:
        self.answered = threading.Event()
        super().__init__(("127.0.0.1", port), _Handler)

    def expect(self, address: str) -> None:
        """Wait for what belongs to the sign-in that begins at `address`.

        Raises:
            Transient: it is no such address.
        """
        parts = urlsplit(address)
        self.state = dict(parse_qsl(parts.query)).get("state", "")
        if parts.scheme not in ("http", "https") or not self.state:
            raise Transient("The console names no address of an issuer to sign in at.")

    def wait(self) -> dict[str, str]:
        """What the issuer sent.

        Raises:
            Refused: nothing came in time.
        """
        if not self.answered.wait(SECONDS) or self.answer is None:
            raise Refused("Nobody signed in within ten minutes: begin again.")
        return self.answer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that goes away is nothing to speak of."""


class _Handler(BaseHTTPRequestHandler):
    server: _Callback

    def do_GET(self) -> None:
        """Take what belongs to this sign-in, and tell the person to go back."""
        parts = urlsplit(self.path)
        given = dict(parse_qsl(parts.query))
        if parts.path != PATH or not self.server.state or given.get("state") != self.server.state:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        self.server.answer = {name: given[name] for name in _FIELDS if name in given}
        try:
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(_PAGE)))
            self.end_headers()
            self.wfile.write(_PAGE)
        finally:
            self.server.answered.set()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as the class it is of names it
        """What came is not printed."""


@contextmanager
def _listening(port: int) -> Iterator[_Callback]:
    try:
        callback = _Callback(port)
    except OSError as error:
        raise UsageError(f"Port {port} of 127.0.0.1 cannot be used: {error.strerror}.") from None
    with callback:
        threading.Thread(target=callback.serve_forever, daemon=True).start()
        try:
            yield callback
        finally:
            callback.shutdown()
