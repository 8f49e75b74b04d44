"""Lenders' apps under faults: they post a plan, post again as a 503 asks them to, and look how it stands.

Invariant: every send is in the journal before it leaves, every answer before anybody acts upon it; nobody who waits for
the disk holds up the others.
"""

import asyncio
import itertools
import json
import socket
import threading
import time
from collections.abc import Coroutine, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from faults.plan import Post
from harness.client import Answer, Connection
from harness.journal import SERVICES, Answered, Entry, Journal, Looked, Lost, Probed, Sending

ANSWER_SECONDS: Final = 10.0
"""How long an app waits for an answer. The service promises one within five."""

AGAIN_SECONDS: Final = (0.1, 0.2, 0.4, 0.8)
LOOK_EVERY_SECONDS: Final = 0.2
LOOKS_AT_ONCE: Final = 8
PROBE_EVERY_SECONDS: Final = 1.0
JOURNAL_WRITERS: Final = 32
"""How many may wait for the disk at once."""

UNANSWERED: Final = (OSError, TimeoutError, EOFError)
AGAIN: Final = {"SERVICE_UNAVAILABLE", "IDEMPOTENCY_KEY_IN_USE"}
"""Answers after which an app posts again, with the same key."""


class Caller(Connection):
    """A connection for one request, which is on its way already, and knows the answer's headers."""

    def __init__(self) -> None:
        super().__init__()
        self.headers: dict[str, str] = {}
        self._began = time.perf_counter()
        self._answer = asyncio.get_running_loop().create_future()

    @classmethod
    async def ask(cls, port: int, request: bytes) -> "Caller":
        """Connect and send in one go, so that nobody finds it connected and silent. Raises one of `UNANSWERED`."""
        loop = asyncio.get_running_loop()
        caller, line = cls(), socket.socket()
        try:
            line.setblocking(False)
            await loop.sock_connect(line, ("127.0.0.1", port))
            await loop.sock_sendall(line, request)
            await loop.create_connection(lambda: caller, sock=line)
        except BaseException:
            line.close()
            raise
        return caller

    async def answered(self) -> Answer:
        """The answer, once it has come. Raises one of `UNANSWERED`."""
        assert self._answer is not None
        status, body = await self._answer
        return Answer(status, body, time.perf_counter() - self._began)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header."""
        self.headers[name.decode().lower()] = value.decode()


@dataclass(frozen=True, slots=True)
class Seen:
    """An answer to a POST; `at` is when it had come, `seconds` how long it took."""

    post: Post
    status: int
    error_code: str | None
    application_id: str | None
    replayed: bool
    retry_after: str | None
    at: float
    seconds: float


class Load:
    """Plans on their way, in a thread of its own; everything it saw is in the journal.

    Attributes:
        accepted: the ids of what was answered 202, with the body that was sent.
        decided: those of them that a look found final, with their status.
        answers: every answer to a POST, in order.
        lost: posts that got no answer, with the reason.
    """

    def __init__(
        self, ports: Mapping[str, int], journal: Journal, numbers: Iterator[int], patience_seconds: float = 90.0
    ) -> None:
        """Describe the load.

        Args:
            ports: of the services, by name.
            journal: where everything is written down.
            numbers: one for each send of this journal.
            patience_seconds: how long an app goes on posting what was not accepted.
        """
        self._ports = {service: [port] for service, port in ports.items()}
        self._turns = {"post": itertools.count(), "look": itertools.count()}
        self._ready_at: dict[int, float] = {}
        self._journal = journal
        self._numbers = numbers
        self._patience = patience_seconds
        self._over = False
        self._watching: list[Future[None]] = []
        self._posting: list[Future[None]] = []
        self._undecided: dict[str, None] = {}
        self.accepted: dict[str, Mapping[str, Any]] = {}
        self.decided: dict[str, str] = {}
        self.answers: list[Seen] = []
        self.lost: list[tuple[Post, str]] = []

    def share(self, service: str, port: int) -> None:
        """Ask a second process of a service as well: posts and looks take turns, and each is probed."""
        self._ports[service].append(port)

    def all_ready_since(self, moment: float) -> bool:
        """Whether each process, last asked after that moment, said that it is ready, with nothing away."""
        return all(self._ready_at.get(port, 0.0) >= moment for service in SERVICES for port in self._ports[service])

    def begin(self, posts: Iterable[Post], over: threading.Event | None = None) -> None:
        """Begin to send these, until `over`, beside what is sent already; the first time also to look and to probe."""
        if not self._watching:
            self._loop = asyncio.new_event_loop()
            self._journal_writers = ThreadPoolExecutor(JOURNAL_WRITERS, thread_name_prefix="journal")
            self._thread = threading.Thread(target=self._loop.run_forever, name="load", daemon=True)
            self._thread.start()
            self._watching = [self._in_loop(self._look()), self._in_loop(self._probe())]
        self._posting.append(self._in_loop(self._post_all(list(posts), over)))

    def sent(self, within: float) -> bool:
        """Wait until every post has its last answer; whether that came in time. Raises what the load failed of."""
        done, late = wait(self._posting, within)
        for each in done:
            each.result()
        return not late

    def end(self) -> None:
        """Look at everything that was accepted once more, and stop. Raises what the load failed of."""
        if self._over or not self._watching:
            return
        self._over = True
        for each in self._watching:
            each.result(ANSWER_SECONDS * 2)
        self._in_loop(self._look_at(list(self.accepted))).result(ANSWER_SECONDS * 10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._journal_writers.shutdown()

    def _in_loop(self, work: Coroutine[Any, Any, None]) -> Future[None]:
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    # ── inside the load's thread ────────────────────────────────────────────────────────────────────────────────

    async def _post_all(self, posts: list[Post], over: threading.Event | None) -> None:
        began = time.monotonic()
        async with asyncio.TaskGroup() as apps:
            for post in posts:
                await asyncio.sleep(max(0.0, began + post.at - time.monotonic()))
                if over is not None and over.is_set():
                    return
                apps.create_task(self._until_answered(post))

    async def _until_answered(self, post: Post) -> None:
        deadline = time.monotonic() + self._patience
        for pause in itertools.chain(AGAIN_SECONDS, itertools.repeat(AGAIN_SECONDS[-1])):
            if not await self._post(post) or post.key is None or time.monotonic() > deadline:
                return
            await asyncio.sleep(pause)

    async def _post(self, post: Post) -> bool:
        """Send once; whether an app would send it again."""
        number = next(self._numbers)
        await self._write(Sending(number, time.time(), post.body, post.key))
        headers = {"Idempotency-Key": post.key} if post.key else {}
        try:
            answer, found = await self._ask(self._api("post"), "/applications", json.dumps(post.body).encode(), headers)
        except UNANSWERED as failure:
            self._journal.note(Lost(number, time.time(), type(failure).__name__))
            self.lost.append((post, type(failure).__name__))
            return True
        content = _object(answer.body)
        seen = Seen(
            post=post,
            status=answer.status,
            error_code=content.get("error_code"),
            application_id=content.get("application_id") if answer.status == 202 else None,
            replayed=found.get("idempotency-replayed") == "true",
            retry_after=found.get("retry-after"),
            at=time.time(),
            seconds=answer.seconds,
        )
        text = answer.body.decode(errors="replace")
        await self._write(Answered(number, seen.at, seen.status, text, seen.application_id, seen.replayed, found))
        self._note(seen)
        return seen.error_code in AGAIN

    async def _write(self, entry: Entry) -> None:
        await self._loop.run_in_executor(self._journal_writers, self._journal.write, entry)

    def _note(self, seen: Seen) -> None:
        self.answers.append(seen)
        if seen.application_id is not None and seen.application_id not in self.accepted:
            self.accepted[seen.application_id] = seen.post.body
            self._undecided[seen.application_id] = None

    async def _look(self) -> None:
        """Look at a few of what is undecided, in turn; those just accepted first."""
        while not self._over:
            chosen = list(reversed(self._undecided))[:LOOKS_AT_ONCE]
            for application_id in chosen:
                self._undecided.pop(application_id)
            await self._look_at(chosen)
            self._undecided = {each: None for each in chosen if each not in self.decided} | self._undecided
            await asyncio.sleep(LOOK_EVERY_SECONDS)

    async def _look_at(self, ids: list[str]) -> None:
        for start in range(0, len(ids), LOOKS_AT_ONCE):
            async with asyncio.TaskGroup() as looks:
                for application_id in ids[start : start + LOOKS_AT_ONCE]:
                    looks.create_task(self._look_once(application_id))

    async def _look_once(self, application_id: str) -> None:
        sent_at = time.time()
        try:
            answer, found = await self._ask(self._api("look"), f"/applications/{application_id}/status")
        except UNANSWERED:
            self._journal.note(Looked(application_id, sent_at, time.time(), None))
            return
        status = _object(answer.body).get("status") if answer.status == 200 else None
        text = answer.body.decode(errors="replace")
        self._journal.note(Looked(application_id, sent_at, time.time(), answer.status, status, text, found))
        if status not in (None, "PENDING"):
            self.decided[application_id] = status

    async def _probe(self) -> None:
        while not self._over:
            async with asyncio.TaskGroup() as probes:
                for service, path in itertools.product(SERVICES, ("/health", "/ready")):
                    for port in self._ports[service]:
                        probes.create_task(self._probe_once(service, port, path))
                probes.create_task(asyncio.sleep(PROBE_EVERY_SECONDS))

    async def _probe_once(self, service: str, port: int, path: str) -> None:
        sent_at = time.time()
        status, body = None, b""
        found: dict[str, str] = {}
        with suppress(*UNANSWERED):
            answer, found = await self._ask(port, path)
            status, body = answer.status, answer.body
        said, text = _object(body), body.decode(errors="replace")
        self._journal.note(Probed(service, path, sent_at, time.time(), status, said, text, found))
        if path == "/ready" and said.get("status") == "ready":
            self._ready_at[port] = sent_at

    def _api(self, purpose: str) -> int:
        """Which process of the API is asked next."""
        ports = self._ports["api"]
        return ports[next(self._turns[purpose]) % len(ports)]

    async def _ask(
        self, port: int, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[Answer, dict[str, str]]:
        """One request over a connection of its own; the answer and its headers. Raises one of `UNANSWERED`."""
        async with asyncio.timeout(ANSWER_SECONDS):
            caller = await Caller.ask(port, _request(path, body, headers or {}))
            try:
                return await caller.answered(), caller.headers
            finally:
                caller.close()


def _request(path: str, body: bytes | None, headers: Mapping[str, str]) -> bytes:
    """A GET, or a POST when there is a body."""
    first = f"GET {path}" if body is None else f"POST {path}"
    about = {} if body is None else {"Content-Type": "application/json", "Content-Length": str(len(body))}
    lines = [f"{first} HTTP/1.1", *(f"{name}: {value}" for name, value in {"Host": "app", **about, **headers}.items())]
    return "\r\n".join([*lines, "", ""]).encode() + (body or b"")


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
