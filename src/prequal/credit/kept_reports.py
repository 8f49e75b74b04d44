"""Reports of the bureau that are kept, and used again for a client's next application of the same PAN.

Invariant: a report is known by its client and the hash of its PAN alone, and is not used past the age asked for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from prequal.credit.bureau import Score
from prequal.messaging.events import ApplicationSubmitted
from prequal.postgres.columns import Columns
from prequal.postgres.connections import Connection


class KeptReport(NamedTuple):
    """What the bureau said `age_seconds` ago, and the PAN's draw."""

    score: Score
    challenge_draw: int
    age_seconds: int


@dataclass(frozen=True, slots=True)
class UsedReport:
    """The report that an application is decided by: the bureau's own of today, or, with an age, a kept one."""

    application_id: UUID
    score: Score
    challenge_draw: int | None
    age_seconds: int | None


_WANTED = Columns[ApplicationSubmitted](
    ("event_id", "uuid", lambda event: event.event_id),
    ("application_id", "uuid", lambda event: event.application_id),
)
_USED = Columns[UsedReport](
    ("application_id", "uuid", lambda used: used.application_id),
    ("cibil_score", "integer", lambda used: used.score),
    ("challenge_draw", "integer", lambda used: used.challenge_draw),
    ("age_seconds", "integer", lambda used: used.age_seconds),
)


async def find(
    connection: Connection, events: Sequence[ApplicationSubmitted], max_age_seconds: float
) -> dict[UUID, KeptReport]:
    """The kept reports, younger than `max_age_seconds`, of the events' own clients and PANs, by event id.

    One that a release before the draws kept is not among them: its PAN is decrypted, and drawn for.
    """
    rows = await connection.fetch(
        f"""
        SELECT event_id, kept.cibil_score, kept.challenge_draw,
               greatest(0, extract(epoch FROM now() - kept.reported_at))::integer
        FROM {_WANTED.table("event", first=2)}
        -- One look-up a row, whatever the planner thinks of the tables' sizes.
        CROSS JOIN LATERAL (
            SELECT client, pan_number_hash FROM applications WHERE id = event.application_id LIMIT 1
        ) AS application
        CROSS JOIN LATERAL (
            SELECT cibil_score, challenge_draw, reported_at FROM bureau_reports
            WHERE client = application.client AND pan_number_hash = application.pan_number_hash LIMIT 1
        ) AS kept
        WHERE kept.reported_at > now() - make_interval(secs => $1) AND kept.challenge_draw IS NOT NULL
        """,
        max_age_seconds,
        *_WANTED.parameters(events),
    )
    return {row[0]: KeptReport(row[1], row[2], row[3]) for row in rows}


async def keep(connection: Connection, reports: Sequence[UsedReport]) -> None:
    """Keep the bureau's reports of today, and the age of each kept one that was used."""
    await connection.execute(
        f"""
        WITH input AS (
            SELECT {_USED.names} FROM {_USED.table("input", first=1)}
        ), reused AS (
            INSERT INTO reused_reports (application_id, age_seconds)
            SELECT application_id, age_seconds FROM input WHERE age_seconds IS NOT NULL ORDER BY application_id
            ON CONFLICT DO NOTHING
        )
        INSERT INTO bureau_reports AS kept (client, pan_number_hash, cibil_score, challenge_draw)
        SELECT DISTINCT ON (client, pan_number_hash)
               client, pan_number_hash, input.cibil_score, input.challenge_draw
        FROM input
        CROSS JOIN LATERAL (
            SELECT client, pan_number_hash FROM applications WHERE id = input.application_id LIMIT 1
        ) AS application
        WHERE age_seconds IS NULL
        -- In one order, or two processes would wait for one another.
        ORDER BY client, pan_number_hash
        ON CONFLICT (client, pan_number_hash) DO UPDATE
        SET cibil_score = excluded.cibil_score,
            challenge_draw = excluded.challenge_draw,
            reported_at = excluded.reported_at
        """,
        *_USED.parameters(reports),
    )
