"""The inbox in SQL: which events a consumer has applied, and what is known of their applications.

Invariant: an inbox row is written by the statement that takes effect, or not at all.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

import asyncpg

from prequal.core.errors import Invalid
from prequal.domain.application import Status
from prequal.messaging.events import Event
from prequal.messaging.handler import Outcome
from prequal.postgres.columns import Column, Columns
from prequal.postgres.connections import Connection

INSERT_REMEMBERED = """
    INSERT INTO processed_messages (consumer, event_id, application_id, digest)
    SELECT {consumer}, event_id, application_id, digest FROM {events} ORDER BY application_id
    ON CONFLICT DO NOTHING
    RETURNING event_id
"""
"""SQL: remember the events of the CTE `events`; returns those that nobody remembered before."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the database knows of an event before it takes effect."""

    digest: bytes | None
    status: Status | None
    agrees: bool

    def outcome_of(self, event: Event) -> Outcome | Invalid | None:
        """What the event is already, or why it can never take effect; None when it is to take effect.

        An application that is final already makes its events duplicates, whether or not the inbox still knows them.
        """
        if self.digest is not None and self.digest != event.digest:
            return Invalid("different_content", "an event with this id and other content was applied before")
        if self.status is None:
            return Invalid("unknown_application", "there is no application with this id")
        if not self.agrees:
            return Invalid("contradicts_application", "the event's fields are not those of its application")
        if self.digest is not None or self.status is not Status.PENDING:
            return Outcome.DUPLICATE
        return None


class HasEvent(Protocol):
    """A row of a statement about an event."""

    @property
    def event(self) -> Event:
        """The event."""


FACTS: tuple[Column[HasEvent], ...] = (
    ("event_id", "uuid", lambda row: row.event.event_id),
    ("application_id", "uuid", lambda row: row.event.application_id),
    ("pan_number_hash", "text", lambda row: row.event.pan_number_hash),
    ("monthly_income_inr", "text", lambda row: str(row.event.monthly_income_inr)),
    ("loan_amount_inr", "text", lambda row: str(row.event.loan_amount_inr)),
    ("loan_type", "text", lambda row: row.event.loan_type.value),
)
"""What is compared with the event's application."""

AGREES = """
    found.pan_number_hash = event.pan_number_hash
    AND found.monthly_income_inr = event.monthly_income_inr::numeric
    AND found.loan_amount_inr = event.loan_amount_inr::numeric
    AND found.loan_type = event.loan_type
"""
"""SQL: whether the application `found` is the one of which `event` speaks."""

COMPARED = "status, pan_number_hash, monthly_income_inr, loan_amount_inr, loan_type"
"""SQL: the columns of `found`."""

DIGEST = "(SELECT digest FROM processed_messages WHERE consumer = {consumer} AND application_id = event.application_id)"
"""SQL: the digest of `event`, if `consumer` remembers it: it reads one type, of which an application has one event."""

KNOWN = f"""
    SELECT event.*, {DIGEST} AS digest, found.status, coalesce({AGREES}, false) AS agrees
    FROM {{events}}
    -- One look-up a row by its id, whatever the planner thinks of the table's size.
    LEFT JOIN LATERAL (SELECT {COMPARED} FROM applications WHERE id = event.application_id LIMIT 1) AS found ON true
"""
"""SQL: what is known of each row of the table `events`, whose alias is `event`."""

_EVENTS = Columns[HasEvent](*FACTS)


async def look_up(connection: Connection, consumer: str, rows: Sequence[HasEvent]) -> dict[UUID, Known]:
    """What is known of the event of each row, by its id."""
    found = await connection.fetch(
        f"""
        SELECT event_id, digest, status, agrees
        FROM ({KNOWN.format(consumer="$1", events=_EVENTS.table("event", first=2))}) AS known
        """,
        consumer,
        *_EVENTS.parameters(rows),
    )
    return known_by_id(found)


def known_by_id(rows: Iterable[asyncpg.Record]) -> dict[UUID, Known]:
    """Rows of (event id, digest, status, agrees), by event id."""
    return {row[0]: Known(row[1], Status(row[2]) if row[2] else None, row[3]) for row in rows}
