"""Wake-ups of the publisher: a NOTIFY after a commit says that a topic has events to publish.

Invariant: a lost wake-up costs a poll's pause and nothing else.
"""

import asyncio
import contextlib
from typing import Any

from prequal.core.errors import Transient
from prequal.core.lifecycle import pause
from prequal.messaging.outbox_notifier import CHANNEL
from prequal.postgres.connections import SingleConnection

LISTEN_CHECK_SECONDS = 2.0


class OutboxListener:
    """Hears the bells of all topics, and listener who waits for one."""

    def __init__(self, database_url: str, topics: list[str]) -> None:
        self._events = {topic: asyncio.Event() for topic in topics}
        self._rung: set[str] = set()
        self._link = SingleConnection(database_url, "publisher listen")

    async def wait(self, topic: str, seconds: float) -> None:
        """Wait for a notifier of `topic` or a `wake`, at most `seconds`."""
        event = self._events[topic]
        with contextlib.suppress(asyncio.TimeoutError):
            async with asyncio.timeout(seconds):
                await event.wait()
        event.clear()

    def take_notification(self, topic: str) -> bool:
        """Whether the notifier of `topic` has rung since last asked."""
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
