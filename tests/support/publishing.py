"""The publisher inside a test's own event loop, and rows for it to publish."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import pytest
from uuid_utils.compat import uuid7

from harness.broker import SUBMITTED, Broker
from harness.database import Database
from harness.ports import free_port
from prequal.core.settings import PublisherSettings, load
from prequal.core.topology import topic_of
from prequal.domain.events import EventType
from prequal.messaging.event_ids import event_id
from prequal.publisher import service
from prequal.service import process


@asynccontextmanager
async def publishing(database: Database, broker: Broker, **settings: Any) -> AsyncIterator["asyncio.Task[None]"]:
    """A publisher, for as long as the block lasts."""
    loaded = load(
        PublisherSettings,
        _env_file=None,
        database_url=database.url,
        kafka_bootstrap_servers=broker.bootstrap_servers,
        http_port=free_port(),
        **settings,
    )
    stop = asyncio.Event()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(process, "freeze_memory", lambda: None)  # this process is not the publisher's own
        running = asyncio.create_task(service._main(loaded, stop))
        try:
            yield running
        finally:
            stop.set()
            await running


INSERT_UNPUBLISHED = """
    INSERT INTO outbox_events (topic, event_type, event_id, application_id, payload, correlation_id, created_at)
    VALUES (%s, %s, %s, %s, %s, %s, now() - interval '1 second') RETURNING id
"""


def an_unpublished_row(
    topic: str = SUBMITTED, payload: str = "{}", application_id: UUID | None = None
) -> tuple[str, str, UUID, UUID, str, str]:
    """What `INSERT_UNPUBLISHED` takes: an event that was written a second ago and is not published yet."""
    application = application_id or uuid7()
    event_type = next(each for each in EventType if topic_of(each) == topic)
    return topic, event_type.value, event_id(event_type, application), application, payload, "request-1"


def unpublished(database: Database, count: int = 1, **fields: Any) -> list[UUID]:
    """Write events that are to be published, in one transaction; their applications' ids, in the order of the rows."""
    rows = [an_unpublished_row(**fields) for _ in range(count)]
    with database.connect() as connection, connection.cursor() as cursor:
        cursor.executemany(INSERT_UNPUBLISHED, rows)
    return [row[3] for row in rows]
