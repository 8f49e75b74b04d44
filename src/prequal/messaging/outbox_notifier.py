"""Notifications between processes: after a commit, a NOTIFY says to the publisher that there is work.

Invariant: a lost notification costs a poll's pause and nothing else.

A NOTIFY inside the writing transaction would take a lock of the whole cluster at its commit; this one goes on a
connection of its own, after the commit, once for many commits.
"""

import asyncio
import contextlib

import structlog

from prequal.core.errors import Transient
from prequal.postgres.connections import SingleConnection

log = structlog.get_logger()

CHANNEL = "prequal_outbox"
NOTIFY_AT_MOST_EVERY_SECONDS = 0.003


class OutboxNotifier:
    """Notifies for one topic: at once when idle, at most every three milliseconds under load."""

    def __init__(self, database_url: str, topic: str) -> None:
        self._topic = topic
        self._asked = asyncio.Event()
        # A crash loses a notification together with its listeners: it need not wait for the disk.
        self._link = SingleConnection(database_url, "notifier", synchronous_commit="off")

    def notify(self) -> None:
        """Ask for a notification; returns at once."""
        self._asked.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Send the notifications to the database until `stop`; one that fails is dropped."""
        while not stop.is_set():
            with contextlib.suppress(asyncio.TimeoutError):
                async with asyncio.timeout(0.5):
                    await self._asked.wait()
            if self._asked.is_set():
                self._asked.clear()
                await self._send()
                await asyncio.sleep(NOTIFY_AT_MOST_EVERY_SECONDS)
        await self._link.close()

    async def _send(self) -> None:
        try:
            async with self._link.use() as connection:
                await connection.execute("SELECT pg_notify($1, $2)", CHANNEL, self._topic)
        except Transient as error:
            log.debug("notify_failed", reason=str(error))
            await asyncio.sleep(0.2)
