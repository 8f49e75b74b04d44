"""Wake-ups between processes: after a commit, a NOTIFY tells the publisher that there is work.

Neighbours: `api` and `credit` hold a `Bell`; `kernel.publisher` holds the `Wakes` that hear it.
Invariant: a lost wake-up costs a poll's pause and nothing else.

A NOTIFY inside the writing transaction would take a lock of the whole cluster at its commit; this one goes on a
connection of its own, after the commit, once for many commits.
"""

import asyncio
import contextlib
from typing import Any

import structlog

from prequal.kernel.db import Link
from prequal.kernel.errors import Transient
from prequal.kernel.process import pause

log = structlog.get_logger()

CHANNEL = "prequal_outbox"
RING_AT_MOST_EVERY_SECONDS = 0.003
LISTEN_CHECK_SECONDS = 2.0


class Bell:
    """Rings for one topic: at once when idle, at most every three milliseconds under load."""

    def __init__(self, database_url: str, topic: str) -> None:
        self._topic = topic
        self._rung = asyncio.Event()
        # A notification is lost in a crash with whoever would have heard it: it need not wait for the disk.
        self._link = Link(database_url, "bell", synchronous_commit="off")

    def ring(self) -> None:
        """Ask for a wake-up; returns at once."""
        self._rung.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Carry the rings to the database until `stop`; one that fails is dropped."""
        while not stop.is_set():
            with contextlib.suppress(asyncio.TimeoutError):
                async with asyncio.timeout(0.5):
                    await self._rung.wait()
            if self._rung.is_set():
                self._rung.clear()
                await self._notify()
                await asyncio.sleep(RING_AT_MOST_EVERY_SECONDS)
        await self._link.close()

    async def _notify(self) -> None:
        try:
            async with self._link.use() as connection:
                await connection.execute("SELECT pg_notify($1, $2)", CHANNEL, self._topic)
        except Transient as error:
            log.debug("not_rung", reason=str(error))
            await asyncio.sleep(0.2)


class Wakes:
    """Hears the bells of all topics, and wakes who waits for one."""

    def __init__(self, database_url: str, topics: list[str]) -> None:
        self._events = {topic: asyncio.Event() for topic in topics}
        self._rung: set[str] = set()
        self._link = Link(database_url, "publisher listen")

    async def wait(self, topic: str, seconds: float) -> None:
        """Wait for a bell of `topic` or a `wake`, at most `seconds`."""
        event = self._events[topic]
        with contextlib.suppress(asyncio.TimeoutError):
            async with asyncio.timeout(seconds):
                await event.wait()
        event.clear()

    def take_bell(self, topic: str) -> bool:
        """Whether the bell of `topic` has rung since last asked."""
        rung = topic in self._rung
        self._rung.discard(topic)
        return rung

    def wake(self, topic: str) -> None:
        """End the wait for `topic` now."""
        self._events[topic].set()

    def wake_all(self) -> None:
        """End every wait now."""
        for event in self._events.values():
            event.set()

    async def listen(self, stop: asyncio.Event) -> None:
        """Listen until `stop`, on a new connection when one is lost."""
        heard: Any = None
        while not stop.is_set():
            try:
                async with self._link.use() as connection:
                    if connection is not heard:
                        await connection.add_listener(CHANNEL, self._hear)
                        heard = connection
                    await connection.fetchval("SELECT 1")
            except Transient:
                heard = None
            await pause(stop, LISTEN_CHECK_SECONDS)
        await self._link.close()

    def _hear(self, _connection: Any, _pid: int, _channel: str, topic: Any) -> None:
        if event := self._events.get(topic):
            self._rung.add(topic)
            event.set()
