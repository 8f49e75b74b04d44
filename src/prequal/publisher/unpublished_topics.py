"""Which topics have events that their writers have not published, asked for all of them in one statement.

Invariant: while that cannot be asked, each relay looks by itself.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

import asyncpg

from prequal.core.errors import Transient
from prequal.core.lifecycle import pause
from prequal.core.settings import PublisherSettings
from prequal.postgres.shared_connection import SharedConnection
from prequal.publisher import queries

PROMPT_POLL_SECONDS: Final = 0.05
"""How often rows are looked for when no writer publishes its own: every application waits for it, twice."""


class UnpublishedTopics:
    """Looks again and again for events that their writers have not published, and tells the relays of their topics.

    Attributes:
        seconds: the age from which an event is no more its writer's.
        every_seconds: how often it is looked.
        found: by topic, set when it may have such events; its relay clears it before it reads.
    """

    def __init__(self, settings: PublisherSettings, topics: Sequence[str]) -> None:
        self.seconds, self.every_seconds = queries.UNPUBLISHED_SECONDS, settings.publish_poll_seconds
        if not settings.publish_own_events:
            self.seconds, self.every_seconds = 0.0, min(self.every_seconds, PROMPT_POLL_SECONDS)
        self.found = {topic: asyncio.Event() for topic in topics}
        for found in self.found.values():
            found.set()  # nobody has looked yet

    async def watch(self, database: SharedConnection, stop: asyncio.Event) -> None:
        """Look until `stop`."""
        while not stop.is_set():
            topics: Sequence[str] = list(self.found)
            with suppress(Transient, asyncpg.PostgresError):  # each relay then meets it and says so
                async with database.use() as connection:
                    topics = await queries.topics_with_unpublished(connection, topics, self.seconds)
            for topic in topics:
                self.found[topic].set()
            await pause(stop, self.every_seconds)
