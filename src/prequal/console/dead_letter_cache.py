"""The dead letters as the pages show them: what the topics hold, of which only what was added is read again.

Invariant: no page waits for Kafka longer than `WAIT_SECONDS`; what was read stays, with its time, while Kafka does not
answer; one read runs at a time.
"""

import asyncio
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Final

from prequal.console.consumers import KAFKA_IS_AWAY, Consumers
from prequal.core.errors import Misconfigured, PrequalError, Transient
from prequal.core.settings import KafkaSettings
from prequal.messaging.offset_tracker import Partition
from prequal.ops.dead_letter_resolution import NoSuchDeadLetter
from prequal.ops.selection import SOURCES
from prequal.ops.stored_dead_letter import (
    DeadLetterId,
    DeadLetterState,
    StoredDeadLetter,
    WholeDeadLetter,
    read_dead_letter,
)
from prequal.ops.topic_reader import TopicReader

WAIT_SECONDS: Final = 0.8


States = Mapping[tuple[DeadLetterId, datetime], DeadLetterState]
"""Those that a person has resolved, by their place and time."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the dead-letter topics had at that time; `is_old` where Kafka has not answered since."""

    at: datetime
    dead_letters: Sequence[StoredDeadLetter]
    is_old: bool

    def waiting(self, states: States) -> int:
        """How many of them nobody has resolved."""
        return sum((each.id, each.written_at) not in states for each in self.dead_letters)


class DeadLetterCache:
    """What was read of the dead-letter topics."""

    def __init__(self, settings: KafkaSettings, consumers: Consumers) -> None:
        self._reader = TopicReader(settings)
        self._consumers = consumers
        self._turn = threading.Lock()
        """Of the reader, and of what it has read."""
        self._read: dict[Partition, list[StoredDeadLetter]] = {}
        self._reading: asyncio.Task[PrequalError | None] | None = None
        self._last: Snapshot | None = None

    async def look(self, age: timedelta = timedelta(), within: float | None = None) -> Snapshot:
        """What the topics have, or had at most `age` ago; what was read last where Kafka takes longer than `within`.

        Args:
            age: of what was read last, that is still shown.
            within: seconds; `WAIT_SECONDS` without them.

        Raises:
            Transient: it does not, and nothing was read before.
            Misconfigured: a topic does not exist.
        """
        if self._last and datetime.now(UTC) - self._last.at < age:
            return self._last
        is_old = self._consumers.is_away or not await self._is_read(WAIT_SECONDS if within is None else within)
        if self._last is None:
            raise Transient(KAFKA_IS_AWAY)
        return replace(self._last, is_old=is_old)

    async def whole(self, id_: DeadLetterId) -> WholeDeadLetter:
        """One of them, with its content.

        Raises:
            Transient: Kafka does not answer.
            NoSuchDeadLetter: the topic does not hold it, or not any more.
        """
        self._consumers.require()
        try:
            return await asyncio.wait_for(asyncio.to_thread(self._whole, id_), WAIT_SECONDS)
        except TimeoutError:
            raise Transient(KAFKA_IS_AWAY) from None

    def close(self) -> None:
        """Close the connection; the next look opens another."""
        with self._turn:
            self._reader.close()

    async def _is_read(self, within: float) -> bool:
        """Whether what was added has been read in time; a read that takes longer goes on for those who look next."""
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._refresh())
        reading = self._reading
        await asyncio.wait([reading], timeout=within)
        problem = reading.result() if reading.done() else Transient(KAFKA_IS_AWAY)
        if isinstance(problem, Misconfigured):
            raise problem
        return problem is None

    async def _refresh(self) -> PrequalError | None:
        try:
            self._last = await asyncio.to_thread(self._added)
        except (Transient, Misconfigured) as problem:
            return problem
        return None

    def _added(self) -> Snapshot:
        with self._turn:
            try:
                self._read_on()
            except Transient:
                self._read.clear()  # the broker that answers next may have lost what was read here
                raise
            return Snapshot(datetime.now(UTC), list(chain.from_iterable(self._read.values())), is_old=False)

    def _read_on(self) -> None:
        offsets, before, spans = self._reader.offsets(list(SOURCES)), self._read, {}
        since = self._reader.first_times({each: span for each, span in offsets.items() if before.get(each)})
        self._read = {}
        for partition, (first, end) in offsets.items():
            known = [each for each in before.get(partition, []) if each.id.offset >= first]
            if known and (known[-1].id.offset >= end or known[-1].written_at < since[partition]):
                known = []  # the topic was deleted and created again
            begin = known[-1].id.offset + 1 if known else first
            self._read[partition] = known
            if begin < end:
                spans[partition] = begin, end
        for message in self._reader.read(spans):
            dead_letter = read_dead_letter(message).dead_letter
            self._read[dead_letter.id.topic, dead_letter.id.partition].append(dead_letter)

    def _whole(self, id_: DeadLetterId) -> WholeDeadLetter:
        partition = id_.topic, id_.partition
        with self._turn:
            first, end = self._reader.offsets([id_.topic]).get(partition, (0, 0))
            if first <= id_.offset < end:
                for message in self._reader.read({partition: (id_.offset, id_.offset + 1)}):
                    return read_dead_letter(message)
        raise NoSuchDeadLetter(f"There is no dead letter {id_}: its topic does not hold it, or not any more.")
