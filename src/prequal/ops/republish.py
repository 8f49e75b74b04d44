"""Republishes archived events: the same bytes with the same ids, through the outbox.

Invariant: an event that still waits in the outbox is not added once more, and no transaction lasts longer than a batch.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from prequal.core.blocking import blocking
from prequal.core.errors import UsageError
from prequal.messaging import outbox
from prequal.ops import queries
from prequal.ops.progress import kept_apart
from prequal.ops.selection import Moment, period
from prequal.postgres import clock
from prequal.postgres.connections import FREE_PLANNER, Connection
from prequal.record.acts import Actor, record_act
from prequal.schema.version import connected_at_revision

BATCH = 1000
SELECT_SECONDS = 600.0
"""The selection may read days of archive; nothing waits for it."""

SESSION = FREE_PLANNER | {"statement_timeout": str(int(SELECT_SECONDS * 1000) - 500), "lock_timeout": "10000"}


@dataclass(frozen=True, slots=True)
class RepublishRequest:
    """Which events a person wants republished; by default all in the archive."""

    since: Moment | None = None
    until: Moment | None = None
    application_ids: Sequence[UUID] = ()
    topic: str | None = None
    limit: int | None = None


@blocking
async def count(database_url: str, request: RepublishRequest) -> int:
    """How many events `republish` would republish now; nothing is changed.

    Raises:
        UsageError: there is no such application, or the period is empty.
        Misconfigured: the database is not migrated.
        Transient: the database does not answer.
    """
    async with connected_at_revision(database_url, "republish", SESSION, SELECT_SECONDS) as connection:
        return await queries.count_selected(connection, await _parameters(connection, request))


@blocking
async def republish(
    database_url: str, actor: Actor, request: RepublishRequest, progress: Callable[[int], None] = lambda _: None
) -> int:
    """Add the events to the outbox once more, a thousand at a time in their old order; returns how many.

    Blocks until all are in the outbox; the publisher publishes them from there. `progress` is called with the count so
    far after each batch is committed. Raises what `count` does, and the OSError of `progress`.
    """
    republished = 0
    with kept_apart(progress) as say:
        async with connected_at_revision(database_url, "republish", SESSION, SELECT_SECONDS) as connection:
            await queries.open_selection(connection, await _parameters(connection, request))
            while selected := await queries.next_selected(connection, BATCH):
                async with connection.transaction():
                    application_ids = [application_id for _, application_id in selected]
                    events = await outbox.republish(connection, application_ids, [event_id for event_id, _ in selected])
                    await _record(connection, actor, selected[0][0], selected[-1][0], events)
                republished += events
                say(republished)
    return republished


async def _record(connection: Connection, actor: Actor, first: UUID, last: UUID, events: int) -> None:
    if events:
        subject = f"{first}" if first == last else f"{first} to {last}"
        await record_act(connection, actor, "events_republished", "event", subject, {"events": events})


async def _parameters(connection: Connection, request: RepublishRequest) -> Sequence[object]:
    """Those of `queries.SELECTED`."""
    published = period(request.since, request.until, await clock.now(connection))
    if unknown := await queries.unknown_applications(connection, request.application_ids):
        raise UsageError(f"There is no application {unknown[0]}.")
    return published.since, published.until, request.application_ids or None, request.topic, request.limit
