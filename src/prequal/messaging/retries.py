"""Messages that wait for another try: after a failure of the handler, for an encryption key, or for an answer.

A whole batch that failed with a store is no matter of these: `consumer` waits and handles it again.

Invariant: nothing of a partition that was revoked is tried again.
"""

import asyncio
from collections import deque
from collections.abc import Iterator
from time import monotonic
from typing import Any, Generic, Protocol, TypeVar

import structlog

from prequal.core.errors import Invalid, UnknownKey
from prequal.messaging.events import Event
from prequal.messaging.messages import Received
from prequal.messaging.offset_tracker import Partition
from prequal.postgres.connections import describe
from prequal.telemetry.logs import where

log = structlog.get_logger()

RETRY_AFTER_SECONDS = (1.0, 2.0, 4.0)
"""Pauses before the second, third and fourth try of a message on which the handler failed."""
KEY_RETRY_SECONDS = 5.0


class FromPartition(Protocol):
    """Whatever came from a partition."""

    @property
    def partition(self) -> Partition:
        """Its topic and number."""


E = TypeVar("E", bound=Event)
W = TypeVar("W", bound=FromPartition)


class RetrySchedule(Generic[W]):
    """Things to be tried again, each at its time of the monotonic clock."""

    def __init__(self) -> None:
        self._entries: list[tuple[float, W]] = []

    def __iter__(self) -> Iterator[W]:
        return (thing for _, thing in self._entries)

    def add(self, thing: W, at: float) -> None:
        """Keep `thing` until `at`."""
        self._entries.append((at, thing))

    def remove(self, thing: W) -> None:
        """Remove `thing` from what waits."""
        self._entries = [entry for entry in self._entries if entry[1] is not thing]

    def due(self) -> list[W]:
        """Those whose time has come, in the order they were added; they stay until removed."""
        return [thing for at, thing in self._entries if at <= monotonic()]

    def next_at(self) -> float | None:
        """When the next is due; None when nothing waits."""
        return min((at for at, _ in self._entries), default=None)

    def drop(self, revoked: set[Partition]) -> None:
        """Remove what came from these partitions."""
        self._entries = [entry for entry in self._entries if entry[1].partition not in revoked]


class Retries(Generic[E]):
    """The messages of one topic that wait for another try."""

    def __init__(self) -> None:
        self._failed = RetrySchedule[Received[E]]()
        self._without_key = RetrySchedule[Received[E]]()
        self._awaiting: dict[Received[E], float] = {}
        """Since when each waits."""
        self._answered: deque[Received[E]] = deque()

    @property
    def awaiting(self) -> int:
        """How many messages wait for an answer."""
        return len(self._awaiting)

    @property
    def partitions_without_key(self) -> set[Partition]:
        """The partitions that wait for an encryption key."""
        return {received.partition for received in self._without_key}

    def reason_not_ready(self) -> str | None:
        """Why some partitions are not read on; None when all are."""
        without_key = len(self.partitions_without_key)
        return f"{without_key} partitions wait for an encryption key" if without_key else None

    def retry(self, received: Received[E], error: Exception) -> Invalid | None:
        """Schedule another try of a message on which the handler failed; the dead letter's reason after the last."""
        topic, failures = received.partition[0], received.failures + 1
        log.error("handler_failed", topic=topic, offset=received.offset, attempt=failures, error=where(error))
        if failures > len(RETRY_AFTER_SECONDS):
            return Invalid("unexpected_error", f"failed {failures} times: {describe(error)}")
        self._failed.add(received, monotonic() + RETRY_AFTER_SECONDS[failures - 1])
        received.failures = failures
        received.attempts += 1
        return None

    def wait_for_key(self, received: Received[E], error: UnknownKey) -> None:
        """Keep a message until its key is there; its partition is paused meanwhile."""
        if received.attempts == received.failures + 1:  # its first wait for a key: said once a message
            (topic, number), offset = received.place
            log.critical("partition_paused", topic=topic, partition=number, offset=offset, reason=str(error))
        received.attempts += 1
        self._without_key.add(received, monotonic() + KEY_RETRY_SECONDS)

    def wait_for_answer(self, received: Received[E], answer: asyncio.Future[Any]) -> None:
        """Keep a message until `answer` is done or cancelled."""
        received.answer = answer
        self._awaiting[received] = monotonic()
        answer.add_done_callback(lambda _: self._answered.append(received))

    def take_answered(self, at_most: int) -> list[Received[E]]:
        """The messages whose answers have come, in that order; they are kept no longer."""
        answered = [self._answered.popleft() for _ in range(min(at_most, len(self._answered)))]
        return [received for received in answered if self._awaiting.pop(received, None) is not None]

    def give_up_waiting(self, seconds: float) -> list[Received[E]]:
        """Cancel the answers that are late by so many seconds; returns their messages, which are kept no longer."""
        since = monotonic() - seconds
        late = [received for received, at in self._awaiting.items() if at < since]
        # One whose answer has come waits for its turn alone; cancelling says so.
        given_up = [received for received in late if received.answer is not None and received.answer.cancel()]
        for received in given_up:
            del self._awaiting[received]
        return given_up

    def due(self) -> list[Received[E]]:
        """The messages whose time has come; they stay until removed.

        Of each partition without a key only the oldest: the others behind it wait for the same key.
        """
        oldest = {received.partition: received for received in reversed(self._without_key.due())}
        return [*self._failed.due(), *oldest.values()]

    def remove(self, received: Received[E]) -> None:
        """Keep a message no longer."""
        self._failed.remove(received)
        self._without_key.remove(received)

    def next_at(self) -> float | None:
        """When the next is due; None when nothing waits."""
        times = (self._failed.next_at(), self._without_key.next_at())
        return min((at for at in times if at is not None), default=None)

    def drop(self, revoked: set[Partition]) -> None:
        """Remove what came from these partitions."""
        self._failed.drop(revoked)
        self._without_key.drop(revoked)
        for received in [each for each in self._awaiting if each.partition in revoked]:
            del self._awaiting[received]
            if received.answer is not None:  # this is the Kafka client's thread
                received.answer.get_loop().call_soon_threadsafe(received.answer.cancel)
