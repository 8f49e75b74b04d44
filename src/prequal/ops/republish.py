"""Tells archived events again: the same facts with the same ids, through the outbox, to whoever lost them.

Invariant: an event that still waits to be told is not told once more, and no transaction lasts longer than a batch.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from prequal.core.errors import Misconfigured
from prequal.messaging import outbox
from prequal.ops import queries
from prequal.ops.queries import EventSelection
from prequal.ops.selection import Moment, period
from prequal.postgres.connections import Connection
from prequal.schema.version import connected_at_revision

BATCH = 1000
CHOOSING_SECONDS = 600.0
"""Choosing looks through days of archive; nothing waits for it."""

# One statement over much of the archive, run once: the planner is free, unlike in the services.
SESSION = {
    "statement_timeout": str(int(CHOOSING_SECONDS * 1000) - 500),
    "lock_timeout": "10000",
    "plan_cache_mode": "force_custom_plan",
    **dict.fromkeys(
        ("enable_seqscan", "enable_bitmapscan", "enable_hashjoin", "enable_mergejoin", "enable_material"), "on"
    ),
}


@dataclass(frozen=True, slots=True)
class RepublishRequest:
    """What a person asks to have told again; all of it where nothing is said."""

    since: Moment | None = None
    until: Moment | None = None
    application_ids: Sequence[UUID] = ()
    topic: str | None = None
    limit: int | None = None

    def choice(self, now: datetime) -> EventSelection:
        """What that means at `now`.

        Raises:
            Misconfigured: it ends before it begins.
        """
        return EventSelection(period(self.since, self.until, now), self.application_ids or None, self.topic, self.limit)


def count(database_url: str, wanted: RepublishRequest) -> int:
    """How many events `republish` would tell again now; nothing is changed.

    Raises:
        Misconfigured: there is no such application, the period is empty, or the database is not migrated.
        Transient: the database does not answer.
    """
    return asyncio.run(_count(database_url, wanted))


def republish(database_url: str, wanted: RepublishRequest, progress: Callable[[int], None] = lambda _: None) -> int:
    """Put the events into the outbox once more, a thousand at a time in their old order; returns how many.

    Blocks until all are in the outbox; the publisher tells them from there. `progress` hears the count so far.

    Raises:
        Misconfigured: as for `count`.
        Transient: the database does not answer; what `progress` last heard of is in the outbox.
    """
    return asyncio.run(_republish(database_url, wanted, progress))


async def _count(database_url: str, wanted: RepublishRequest) -> int:
    async with connected_at_revision(database_url, "republish", SESSION, CHOOSING_SECONDS) as connection:
        choice = await _choice(connection, wanted)
        return await queries.count_selected(connection, choice)


async def _republish(database_url: str, wanted: RepublishRequest, progress: Callable[[int], None]) -> int:
    republished = 0
    async with connected_at_revision(database_url, "republish", SESSION, CHOOSING_SECONDS) as connection:
        await queries.choose(connection, await _choice(connection, wanted))
        while chosen := await queries.next_selected(connection, BATCH):
            async with connection.transaction():
                application_ids = [application_id for _, application_id in chosen]
                republished += await outbox.republish(connection, application_ids, [event_id for event_id, _ in chosen])
            progress(republished)
    return republished


async def _choice(connection: Connection, wanted: RepublishRequest) -> EventSelection:
    choice = wanted.choice(await queries.now(connection))
    if unknown := await queries.unknown_applications(connection, wanted.application_ids):
        raise Misconfigured(f"There is no application {unknown[0]}.")
    return choice
