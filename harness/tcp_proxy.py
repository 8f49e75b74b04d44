"""A TCP proxy that stands before PostgreSQL or Kafka and cuts, slows, freezes or loses what a test says."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit, urlunsplit

COMMIT = b"COMMIT\x00"
"""A COMMIT in PostgreSQL's simple query protocol."""


class TcpProxy:
    """127.0.0.1:`port` leads to 127.0.0.1:`target` until it is cut."""

    def __init__(self, target: int, commit: bytes = COMMIT) -> None:
        """Lead to a port; `commit` is what tells a question that commits from others, COMMIT or a part of one."""
        self._target = target
        self.commit = commit
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port: int = self._listener.getsockname()[1]
        self._pairs: set[_Pair] = set()
        self._lock = threading.Lock()
        self._cut = False
        self._closed = False
        self.flowing = threading.Event()
        self.flowing.set()
        self.delay_seconds = 0.0
        self._commit: str | None = None
        self.commits_lost = 0
        self._in_thread(self._accept)

    def url(self, url: str) -> str:
        """`url`, by this way."""
        parts = urlsplit(url)
        return urlunsplit(parts._replace(netloc=parts.netloc.replace(f":{self._target}", f":{self.port}")))

    def lead_to(self, target: int) -> None:
        """Lead new connections to another port; those that are there stay."""
        self._target = target

    def cut(self) -> None:
        """End every connection, and let nobody through until `restore`."""
        self._cut = True
        self._end_all()

    def freeze(self) -> None:
        """Take connections and bytes, and let nothing through, until `restore`."""
        self.flowing.clear()

    def slow_down(self, seconds: float) -> None:
        """Hold up what comes, in each direction, for so long, until `restore`."""
        self.delay_seconds = seconds

    def restore(self) -> None:
        self._cut = False
        self.delay_seconds = 0.0
        self.flowing.set()

    def lose_answer_to_commit(self) -> None:
        """Let the next COMMIT through, and cut its connection when the server has answered."""
        self._commit = "answer"

    def lose_answer_to_commit_and_cut(self) -> None:
        """As `lose_answer_to_commit`, and let nobody through from then on."""
        self._commit = "answer and everything"

    def lose_commit(self) -> None:
        """Cut the connection that sends the next COMMIT before the server sees it, and leave the server's end open."""
        self._commit = "question"

    def lose_commit_and_cut(self) -> None:
        """As `lose_commit`, and let nobody through from then on."""
        self._commit = "everything"

    def close(self) -> None:
        self._closed = True
        self._listener.close()
        self.flowing.set()
        self._end_all()

    def at_commit(self) -> str | None:
        """What is to happen to the COMMIT at hand, once."""
        with self._lock:
            fate, self._commit = self._commit, None
        self.commits_lost += fate is not None
        return fate

    def forget(self, pair: "_Pair") -> None:
        with self._lock:
            self._pairs.discard(pair)

    def _end_all(self) -> None:
        with self._lock:
            pairs = list(self._pairs)
        for pair in pairs:
            pair.end()

    def _accept(self) -> None:
        while not self._closed:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._in_thread(self._admit, client)

    def _admit(self, client: socket.socket) -> None:
        self.flowing.wait()
        if self._cut or self._closed:
            client.close()
            return
        try:
            server = socket.create_connection(("127.0.0.1", self._target), timeout=5)
        except OSError:
            client.close()
            return
        server.settimeout(None)
        pair = _Pair(self, client, server)
        with self._lock:
            self._pairs.add(pair)
        self._in_thread(pair.to_server)
        self._in_thread(pair.to_client)

    @staticmethod
    def _in_thread(call: object, *values: object) -> None:
        assert callable(call)
        threading.Thread(target=call, args=values, daemon=True).start()


class _Pair:
    """One connection through the proxy."""

    def __init__(self, proxy: TcpProxy, client: socket.socket, server: socket.socket) -> None:
        self._proxy = proxy
        self._client = client
        self._server = server
        self._end_at_answer = ""

    def to_server(self) -> None:
        for chunk in self._chunks(self._client):
            if self._proxy.commit in chunk and (fate := self._proxy.at_commit()):
                if not fate.startswith("answer"):
                    if fate == "everything":
                        self._proxy.forget(self)  # the server's end stays open: an orphan backend in a transaction
                        self._proxy.cut()
                    _shut(self._client)
                    return
                self._end_at_answer = fate
            with contextlib.suppress(OSError):
                self._server.sendall(chunk)
        self.end()

    def to_client(self) -> None:
        for chunk in self._chunks(self._server):
            if self._end_at_answer:
                if self._end_at_answer == "answer and everything":
                    self._proxy.cut()
                break
            with contextlib.suppress(OSError):
                self._client.sendall(chunk)
        self.end()

    def end(self) -> None:
        self._proxy.forget(self)
        _shut(self._client)
        _shut(self._server)

    def _chunks(self, source: socket.socket) -> Iterator[bytes]:
        while True:
            try:
                chunk = source.recv(65536)
            except OSError:
                return
            if not chunk:
                return
            self._proxy.flowing.wait()
            time.sleep(self._proxy.delay_seconds)
            yield chunk


def _shut(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()


@contextmanager
def a_proxy(target: int) -> Iterator[TcpProxy]:
    """A proxy that is closed at the end of the block."""
    proxy = TcpProxy(target)
    try:
        yield proxy
    finally:
        proxy.close()


def port_of(url: str) -> int:
    """The port that a URL names."""
    port = urlsplit(url).port
    assert port is not None
    return port
