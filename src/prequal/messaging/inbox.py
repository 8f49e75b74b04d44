"""The inbox in SQL: which events a consumer has taken effect of, and what is known of their applications.

Invariant: an inbox row is written by the statement that takes effect, or not at all.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from prequal.core.errors import Invalid
from prequal.domain.application import Status
from prequal.messaging.events import Event
from prequal.messaging.handler import Outcome
from prequal.postgres.columns import Columns
from prequal.postgres.connections import Connection

INSERT_REMEMBERED = """
    INSERT INTO processed_messages (consumer, event_id, digest)
    SELECT {consumer}, event_id, digest FROM {events} ORDER BY event_id
    ON CONFLICT DO NOTHING
    RETURNING event_id
"""
"""SQL: remember the events of the CTE `events`; returns those that nobody remembered before."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the database knows of an event before it takes effect."""

    digest: bytes | None
    status: Status | None
    version: int | None
    agrees: bool

    def settled(self, event: Event) -> Outcome | Invalid | None:
        """What the event is already, or why it can never take effect; None when it is to take effect.

        An application that is final already makes its events duplicates, whether or not the inbox still knows them.
        """
        if self.digest is not None and self.digest != event.digest:
            return Invalid("different_content", "an event with this id and other content took effect before")
        if self.status is None:
            return Invalid("unknown_application", "there is no application with this id")
        if not self.agrees:
            return Invalid("contradicts_application", "the event's fields are not those of its application")
        if self.digest is not None or self.status is not Status.PENDING:
            return Outcome.DUPLICATE
        return None


_EVENTS = Columns[Event](
    ("event_id", "uuid", lambda event: event.event_id),
    ("application_id", "uuid", lambda event: event.application_id),
    ("pan_number_hash", "text", lambda event: event.pan_number_hash),
    ("monthly_income_inr", "text", lambda event: str(event.monthly_income_inr)),
    ("loan_amount_inr", "text", lambda event: str(event.loan_amount_inr)),
    ("loan_type", "text", lambda event: event.loan_type.value),
)


async def look_up(connection: Connection, consumer: str, events: Sequence[Event]) -> dict[UUID, Known]:
    """What is known of each event, by its id."""
    rows = await connection.fetch(
        f"""
        SELECT event.event_id,
               (SELECT digest FROM processed_messages WHERE consumer = $1 AND event_id = event.event_id),
               application.status, application.version,
               coalesce(
                   application.pan_number_hash = event.pan_number_hash
                   AND application.monthly_income_inr = event.monthly_income_inr::numeric
                   AND application.loan_amount_inr = event.loan_amount_inr::numeric
                   AND application.loan_type = event.loan_type,
                   false
               )
        FROM {_EVENTS.table("event", first=2)}
        LEFT JOIN LATERAL (
            SELECT * FROM applications WHERE id = event.application_id LIMIT 1
        ) AS application ON true
        """,
        consumer,
        *_EVENTS.arrays(events),
    )
    return {row[0]: Known(row[1], Status(row[2]) if row[2] else None, row[3], row[4]) for row in rows}
