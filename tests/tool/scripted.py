"""A server of HTTP that answers as a test says, each connection in a thread of its own."""

import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self


def answer(status: int, body: bytes = b"{}") -> bytes:
    """An answer on a connection that stays open."""
    return b"HTTP/1.1 %d Some\r\nContent-Length: %d\r\nRetry-After: 1\r\n\r\n%b" % (status, len(body), body)


HEALTHY: Final = answer(200)
ACCEPTED: Final = answer(202)
LATE: Final = answer(408)
INVALID: Final = answer(422)
FULL: Final = answer(503)


class Scripted:
    """It listens for as long as the block.

    Attributes:
        port: where, on 127.0.0.1.
        requests: the first line of each request that came.
    """

    def __init__(self, answers: Callable[[bytes], bytes], requests: int = 1_000_000) -> None:
        """Describe it.

        Args:
            answers: what a request is answered, nothing at all for empty.
            requests: after so many on a connection it is cut.
        """
        self._answers = answers
        self._requests_max = requests
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self.requests: list[bytes] = []

    def __enter__(self) -> Self:
        threading.Thread(target=self._listen, daemon=True).start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)  # or a call of accept that waits would take one more
        self._listening.close()

    def _listen(self) -> None:
        while True:
            try:
                line, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(line,), daemon=True).start()

    def _serve(self, line: socket.socket) -> None:
        """Answer each request; each comes in one piece from the clients that are tried."""
        with line:
            for _ in range(self._requests_max):
                try:
                    request = line.recv(65_536)
                    if not request:
                        return
                    self.requests.append(request.partition(b"\r\n")[0])
                    line.sendall(self._answers(request))
                except OSError:
                    return
