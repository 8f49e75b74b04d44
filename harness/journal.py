"""What the client did and saw, written down before it goes on: one JSON object a line, on the disk before each send.

Invariant: what was sent is in the journal before it is sent, and what was answered before anybody acts upon it.

It holds PANs in the clear, so it lies outside every folder that is searched for them, and only its owner reads it.
Times are seconds since 1970 by this machine's clock.
"""

import dataclasses
import json
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TypeAlias, TypeVar, get_args

SERVICES = ("api", "credit", "decision", "publisher")


@dataclass(frozen=True, slots=True)
class Sending:
    """A POST is about to be sent. `number` names it: one send, one number, also when key and body are repeated."""

    number: int
    at: float
    body: Mapping[str, Any]
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Answered:
    """The POST was answered; `body` is the answer's text."""

    number: int
    at: float
    status: int
    body: str
    application_id: str | None = None
    """Of a 202."""
    replayed: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Lost:
    """Nobody knows what became of the POST: cut, refused or not answered in time."""

    number: int
    at: float
    reason: str


@dataclass(frozen=True, slots=True)
class Looked:
    """A GET of an application's status; `status_code` is None when there was no answer."""

    application_id: str
    sent_at: float
    at: float
    status_code: int | None
    status: str | None = None
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reviewing:
    """A person is about to decide an application that the policy left to people. `number` names the attempt."""

    number: int
    at: float
    application_id: str
    person: str
    outcome: str


@dataclass(frozen=True, slots=True)
class Reviewed:
    """What that person was answered: `decided`, or the refusal's name. Without it nobody knows what became of it."""

    number: int
    at: float
    answer: str


@dataclass(frozen=True, slots=True)
class Probed:
    """A GET of `/health` or `/ready`; `status_code` is None when there was no answer."""

    service: str
    path: str
    sent_at: float
    at: float
    status_code: int | None
    body: Mapping[str, Any] = field(default_factory=dict)
    text: str = ""
    """The answer as it came."""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault's `begin`, `restore` or `heal`.

    `restore` is when restoring starts (SIGCONT sent, the start of the broker begun) and may be left out; `heal` is
    when what was broken answers again. Between the two nothing is expected of `/ready`.
    """

    stage: str
    name: str
    at: float
    away: tuple[str, ...] = ()
    """Of `begin`: the dependencies that do not answer, `database` and `kafka`."""
    seen_by: tuple[str, ...] = SERVICES
    """Of `begin`: whom `away` is away for."""
    killed: tuple[str, ...] = ()
    """Of `begin`: the services that are killed, stopped or frozen themselves, and so need not answer."""
    troubled: tuple[str, ...] = ()
    """Of `begin`: the services that may say that they are not ready, for a reason of their own (poison, no key)."""
    lost: tuple[str, ...] = ()
    """Of `begin`: the topics whose content is gone for good."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A process, looked at from outside; the first of each service is what later ones are compared with."""

    service: str
    at: float
    pid: int
    threads: int
    descriptors: int
    decrypts: float | None = None
    """Of credit: `pan_decrypts_total`, which begins again with each life of the process."""


@dataclass(frozen=True, slots=True)
class Connections:
    """How many connections PostgreSQL has, by what they call themselves; the first is what later ones are held to."""

    at: float
    by_name: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Transaction:
    """The transaction that was open for longest when somebody looked."""

    at: float
    name: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Planted:
    """A message that a test wrote to a topic itself: poison, no event of the service's."""

    topic: str
    partition: int
    offset: int


Entry: TypeAlias = (
    Sending
    | Answered
    | Lost
    | Looked
    | Reviewing
    | Reviewed
    | Probed
    | Fault
    | Measured
    | Connections
    | Transaction
    | Planted
)
E = TypeVar("E", bound=Entry)

_KINDS: dict[str, type[Entry]] = {kind.__name__.lower(): kind for kind in get_args(Entry)}


class Journal:
    """The journal being written; any thread may write."""

    def __init__(self, path: Path) -> None:
        """Continue the journal at `path`, or begin it."""
        self.path = path
        path.touch(mode=0o600)
        self._file = path.open("ab", buffering=0)
        self._lock = threading.Lock()
        self._disk = threading.Lock()
        self._written = self._synced = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def write(self, *entries: Entry) -> None:
        """Write, and return when the disk holds it; who waits at the same time shares one sync."""
        number = self._append(entries)
        with self._disk:
            if self._synced < number:
                written = self._written
                os.fdatasync(self._file.fileno())
                self._synced = written

    def note(self, *entries: Entry) -> None:
        """Write what nobody acts upon: it outlives this process, and need not outlive the machine."""
        self._append(entries)

    def _append(self, entries: Iterable[Entry]) -> int:
        with self._lock:
            self._file.write(b"".join(map(_line, entries)))
            self._written += 1
            return self._written

    def close(self) -> None:
        """Write no more."""
        self._file.close()


class Tail:
    """A journal that is read while it is being written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = 0

    def read(self) -> list[Entry]:
        """What was written since the last time, but for a last line that is not ended."""
        with self._path.open("rb") as file:
            file.seek(self._read)
            *lines, rest = file.read().split(b"\n")
            self._read = file.tell() - len(rest)
        return [_entry(json.loads(line)) for line in lines]


def read(path: Path) -> list[Entry]:
    """Everything in the journal at `path`, but for a last line that its writer did not live to end."""
    return Tail(path).read()


def of(kind: type[E], entries: Iterable[Entry]) -> list[E]:
    """Those of one kind, in order."""
    return [entry for entry in entries if isinstance(entry, kind)]


def _line(entry: Entry) -> bytes:
    return json.dumps({"kind": type(entry).__name__.lower(), **dataclasses.asdict(entry)}).encode() + b"\n"


def _entry(fields: dict[str, Any]) -> Entry:
    kind: Callable[..., Entry] = _KINDS[fields.pop("kind")]
    return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()})
