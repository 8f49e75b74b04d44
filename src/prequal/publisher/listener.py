"""Listens for the NOTIFY that follows a commit: the topic that it names has rows to publish.

Invariant: a lost notification costs the pause between two polls and nothing else.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

from prequal.core.errors import Transient
from prequal.core.lifecycle import pause
from prequal.messaging.outbox_notifier import CHANNEL
from prequal.postgres.connections import SingleConnection

LISTEN_CHECK_SECONDS = 2.0
"""How often the connection is asked whether it still lives; a dead one would be silent."""


class OutboxListener:
    """One connection that listens for the notifications of all topics.

    Attributes:
        rows_expected: by topic, set while there may be rows that no relay has read. The listener sets it at a
            notification; the topic's relay sets and clears it as well.
        is_listening: whether notifications come.
    """

    def __init__(self, database_url: str, topics: Sequence[str]) -> None:
        self.rows_expected = {topic: asyncio.Event() for topic in topics}
        self._connection = SingleConnection(database_url, "publisher listen")
        self.is_listening = False

    async def listen(self, stop: asyncio.Event) -> None:
        """Listen until `stop`, on a new connection when one is lost."""
        listening: Any = None
        while not stop.is_set():
            try:
                async with self._connection.use() as connection:
                    if connection is not listening:
                        await connection.add_listener(CHANNEL, self._notified)
                        listening, self.is_listening = connection, True
                    await connection.fetchval("SELECT 1")
            except Transient:
                listening, self.is_listening = None, False
            await pause(stop, LISTEN_CHECK_SECONDS)
        await self._connection.close()

    def _notified(self, _connection: Any, _pid: int, _channel: str, topic: Any) -> None:
        if event := self.rows_expected.get(topic):
            event.set()
