"""Messages that wait to be tried again, each at its own time.

Invariant: nothing of a partition that was revoked is tried again.
"""

from collections.abc import Iterator
from time import monotonic
from typing import Generic, Protocol, TypeVar

from prequal.messaging.offset_tracker import Partition


class FromPartition(Protocol):
    """Whatever came from a partition."""

    @property
    def partition(self) -> Partition:
        """Its topic and number."""


W = TypeVar("W", bound=FromPartition)


class RetrySchedule(Generic[W]):
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
