"""Messages in hand: taken from a partition, read or unreadable, settled or waiting for their time.

Neighbours: `kernel.consumer` moves them along; the rooms see `Received` and answer with a `Verdict`.
Invariant: a message keeps its place (partition and offset) and the time it was first seen for as long as it is in hand.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from enum import StrEnum
from time import monotonic
from typing import Generic, Protocol, TypeAlias, TypeVar

from confluent_kafka import Message

from prequal.domain.pan import contains_pan
from prequal.kernel import tracing
from prequal.kernel.codec import Event
from prequal.kernel.errors import Invalid, UnknownKey
from prequal.kernel.kafka import message_headers
from prequal.kernel.ledger import Partition

HEADER_BYTES_MAX = 128

E = TypeVar("E", bound=Event)


class Outcome(StrEnum):
    """How a message was settled."""

    DONE = "done"
    DUPLICATE = "duplicate"


Verdict: TypeAlias = Outcome | Invalid | UnknownKey | None
"""What a room says of one message: settled, dead, waiting for its key, or (None) to be looked at once more."""


def sane_header(message: Message, name: str) -> str | None:
    """A header's text, if it is there, short, printable ASCII, and nothing like a PAN."""
    for key, value in message_headers(message):
        if key == name and isinstance(value, bytes) and len(value) <= HEADER_BYTES_MAX and value.isascii():
            text = value.decode()
            return text if text.isprintable() and not contains_pan(text) else None
    return None


class Taken:
    """A message in hand."""

    def __init__(self, message: Message) -> None:
        self.message = message
        self.partition: Partition = (message.topic() or "", message.partition() or 0)
        self.offset: int = message.offset() or 0
        self.first_seen = datetime.now(UTC)
        self.attempts = 1
        self.span = tracing.UNTRACED

    @property
    def traceparent(self) -> str | None:
        """Where whatever comes of the message follows in its trace."""
        return self.span.traceparent or self.header("traceparent")

    def header(self, name: str) -> str | None:
        """A header's text, if it is there and sane."""
        return sane_header(self.message, name)


class Received(Taken, Generic[E]):
    """A message that could be read."""

    def __init__(self, message: Message, event: E) -> None:
        super().__init__(message)
        self.event = event


class Unreadable(Taken):
    """A message that could not be read, and why."""

    def __init__(self, message: Message, invalid: Invalid) -> None:
        super().__init__(message)
        self.invalid = invalid


class FromPartition(Protocol):
    """Whatever came from a partition."""

    @property
    def partition(self) -> Partition:
        """Its topic and number."""


W = TypeVar("W", bound=FromPartition)


class Waiting(Generic[W]):
    """Things to be seen to again, each at its time of the monotonic clock."""

    def __init__(self) -> None:
        self._entries: list[tuple[float, W]] = []

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[W]:
        return (thing for _, thing in self._entries)

    def add(self, thing: W, at: float) -> None:
        """Keep `thing` until `at`."""
        self._entries.append((at, thing))

    def remove(self, thing: W) -> None:
        """Keep it no longer."""
        self._entries = [entry for entry in self._entries if entry[1] is not thing]

    def due(self) -> list[W]:
        """Those whose time has come, oldest first; they stay until removed."""
        return [thing for at, thing in self._entries if at <= monotonic()]

    def next_at(self) -> float | None:
        """When the next is due; None when nothing waits."""
        return min((at for at, _ in self._entries), default=None)

    def drop(self, revoked: set[Partition]) -> None:
        """Forget what came from partitions that are no longer ours."""
        self._entries = [entry for entry in self._entries if entry[1].partition not in revoked]
