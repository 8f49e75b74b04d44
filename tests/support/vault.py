"""A stand-in for HashiCorp Vault: its transit engine's data keys over HTTP, as its API documents them.

It is none: one key, one token, and of the API what the service calls. OpenBao itself was tried by hand.
"""

import base64
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from harness.ports import free_port

TOKEN = "hvs.token-of-the-test"  # of a stand-in
PREFIX = "vault:v1:"


@dataclass
class Vault:
    """A Vault that can be stopped and started again with the same key.

    Attributes:
        answers: what it says in place of its own answers: a status and a body.
        asked: headers of the requests that came.
    """

    port: int = field(default_factory=free_port)
    answers: tuple[int, bytes] | None = None
    asked: list[dict[str, str]] = field(default_factory=list)
    _cipher: AESGCM = field(default_factory=lambda: AESGCM(AESGCM.generate_key(256)))
    _server: ThreadingHTTPServer | None = None

    @property
    def settings(self) -> dict[str, str]:
        """What a process is given to reach it."""
        return {
            "VAULT_ADDR": f"http://127.0.0.1:{self.port}",
            "VAULT_TOKEN": TOKEN,
            "VAULT_TRANSIT_KEY": "prequal",
        }

    def start(self) -> None:
        """Answer from now on."""
        vault = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                content = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                vault.asked.append(dict(self.headers))
                status, body = vault.answers or vault.answer(self.path, self.headers["X-Vault-Token"], content)
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        """Be away, as a process that was killed."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def answer(self, path: str, token: str, content: dict[str, Any]) -> tuple[int, bytes]:
        """The status and body of one request."""
        if token != TOKEN:
            return HTTPStatus.FORBIDDEN, b'{"errors": ["permission denied"]}'
        if path == "/v1/transit/datakey/plaintext/prequal":
            key = os.urandom(content["bits"] // 8)
            return _data(plaintext=base64.b64encode(key).decode(), ciphertext=self.wrapped(key))
        if path == "/v1/transit/decrypt/prequal":
            try:
                return _data(plaintext=base64.b64encode(self.unwrapped(content["ciphertext"])).decode())
            except (InvalidTag, ValueError):
                return HTTPStatus.BAD_REQUEST, b'{"errors": ["cipher: message authentication failed"]}'
        return HTTPStatus.NOT_FOUND, b'{"errors": ["no handler for route"]}'

    def wrapped(self, key: bytes) -> str:
        """A key as it gives it out."""
        nonce = os.urandom(12)
        return PREFIX + base64.b64encode(nonce + self._cipher.encrypt(nonce, key, None)).decode()

    def unwrapped(self, text: str) -> bytes:
        """The key in that form. Raises `InvalidTag` or `ValueError`."""
        content = base64.b64decode(text.removeprefix(PREFIX), validate=True)
        return self._cipher.decrypt(content[:12], content[12:], None)


@contextmanager
def a_vault() -> Iterator[Vault]:
    """A Vault that answers until it is stopped."""
    vault = Vault()
    vault.start()
    try:
        yield vault
    finally:
        vault.stop()


def _data(**texts: str) -> tuple[int, bytes]:
    return HTTPStatus.OK, json.dumps({"data": texts}).encode()
