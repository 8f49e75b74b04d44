"""How far the consumers are behind, asked beside the pages, so that no page waits for Kafka.

Invariant: what was known stays known, with its time, while Kafka does not answer.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import structlog
from confluent_kafka import KafkaException

from prequal.core.errors import Transient
from prequal.core.lifecycle import first_of, pause
from prequal.core.settings import KafkaSettings
from prequal.messaging.consumer_lag import Offsets

log = structlog.get_logger()

ASK_EVERY_SECONDS: Final = 3.0
UNSEEN_SECONDS: Final = 30.0
"""So often Kafka is asked while nobody looks: who does then sees an answer of up to that age, and soon a new one."""
KAFKA_IS_AWAY: Final = "Kafka does not answer"


@dataclass(frozen=True, slots=True)
class Lag:
    """Messages that each group had not committed at that time."""

    at: datetime
    by_group: Mapping[str, int]


class Consumers:
    """What Kafka said last of the consumer groups."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._offsets = Offsets(settings)
        self.last: Lag | None = None
        self.is_away = False
        self._seen = asyncio.Event()

    def seen(self) -> None:
        """Somebody looks: Kafka is asked every three seconds for a while."""
        self._seen.set()

    async def watch(self, stop: asyncio.Event) -> None:
        """Ask again and again, over connections that stay open, until `stop`."""
        while not stop.is_set():
            self._seen.clear()
            await self.ask()
            await pause(stop, ASK_EVERY_SECONDS)
            if not self._seen.is_set():
                await first_of(UNSEEN_SECONDS, stop, self._seen)
        await asyncio.to_thread(self._offsets.close)

    def require(self) -> None:
        """Raise `Transient` where Kafka did not answer when it was asked last."""
        self.seen()
        if self.is_away:
            raise Transient(KAFKA_IS_AWAY)

    async def ask(self) -> None:
        """Ask once."""
        try:
            behind = await asyncio.to_thread(self._offsets.by_group)
            self.last, self.is_away = Lag(datetime.now(UTC), behind), False
        except KafkaException as error:
            self.is_away = True
            log.debug("probe_failed", dependency="Kafka", reason=str(error.args[0]))
            await asyncio.to_thread(self._offsets.close)
