"""The outbox in SQL: how an event gets the time of its fact, how it is published once more, and how many wait.

Invariant: an event leaves `outbox_events` only for the archive (acknowledged) or the parked rows (refused). It is
deleted only if the archive has it. A row is inserted by the statement that writes its fact: those of `api/queries.py`
and `credit/queries.py`, and of `append_decided` here.

    outbox_events ──acknowledged──► outbox_archive ──republished──► outbox_events ──acknowledged──► gone
         │  ▲
      refused │ due
         ▼  │
    outbox_parked
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from prequal.core.topology import DECIDED_TOPIC, TOPICS, Service
from prequal.domain.events import MESSAGE_VERSION, EventType
from prequal.postgres.connections import Connection

EVENT = "event_id, event_type, application_id, payload, correlation_id, traceparent, created_at"
REPUBLISH_LOCK = 0x72657062  # "repb"

ROW = "id, topic, event_id, event_type, application_id, payload, correlation_id, traceparent"
"""SQL: what an `OutboxRow` is made of."""
NO_ROW = ", ".join(["NULL"] * len(ROW.split(", ")))
"""SQL: what stands in the place of an `OutboxRow` where there is none."""

TIME_TEXT = """to_char({time} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""
"""SQL: a time as the events spell it."""
NOW_TEXT = TIME_TEXT.format(time="now()")
"""SQL: the transaction's time."""

_DECIDED = (
    '{"event_id":"%s","application_id":"%s","client":%s,"version":%s,"status":"%s","policy":{"version":%s,"hash":%s},'
    '"reasons":[{"code":%s}],"review":%s,"monthly_income_inr":"%s","loan_amount_inr":"%s","loan_type":"%s",'
    '"decided_at":"%s","message_version":"%s"}'
)


class OutboxRow(NamedTuple):
    """An event that is to be published."""

    id: int
    topic: str
    event_id: UUID
    event_type: str
    application_id: UUID
    payload: str
    correlation_id: str | None
    traceparent: str | None


@dataclass(frozen=True, slots=True)
class OutboxBacklog:
    """How many events of a topic are not published, the age of the oldest of them, and how many are parked.

    The age leaves out republished events, which are as old as their facts, and events whose time the clock has not
    reached, as after a failover to a server whose clock is behind.
    """

    events: int
    oldest_seconds: float
    parked: int


def append_decided(decided: str, review: str = "'null'") -> str:
    """SQL: the event of each row of the CTE `decided`, whose status moves in the same statement: `ApplicationDecided`.

    `review` is what people decided, as JSON. By `format` it takes half the time of `jsonb_build_object`; what the
    database does not hold to an alphabet without quotes goes through `to_json`.
    """
    return f"""
        INSERT INTO outbox_events (topic, event_type, event_id, application_id, payload, correlation_id, traceparent)
        SELECT '{DECIDED_TOPIC}', '{EventType.APPLICATION_DECIDED}', decided_id, application_id, format(
                   '{_DECIDED}',
                   decided_id, application_id, to_json(client), version, status, to_json(policy_version),
                   coalesce('"' || encode(policy_hash, 'hex') || '"', 'null'), to_json(rule), {review},
                   monthly_income_inr, loan_amount_inr, loan_type, {TIME_TEXT.format(time="updated_at")},
                   '{MESSAGE_VERSION}'
               ), correlation_id, traceparent
        FROM {decided}
    """


def with_time(body: str, time_field: str) -> str:
    """SQL: the JSON object in the text `body`, whose field `time_field` is null, with the transaction's time in it.

    By `replace` it takes a third of the time of jsonb: no value of an event holds a quotation mark.
    """
    return f"""replace({body}, '"{time_field}":null', (SELECT '"{time_field}":"' || {NOW_TEXT} || '"'))"""


async def archive_published(connection: Connection, topic: str, ids: Sequence[int], by: Service) -> int:
    """Move rows to the archive whose events `by` published; returns how many were still there.

    Doing it twice archives them once.

    Republished rows are deleted only: the archive has their events already.
    """
    archived: int = await connection.fetchval(
        f"""
        WITH published AS (
            DELETE FROM outbox_events WHERE topic = $1 AND id = ANY ($2::bigint[])
            RETURNING id, topic, {EVENT}, republished
        ), archived AS (
            INSERT INTO outbox_archive (id, topic, {EVENT}, published_by)
            SELECT id, topic, {EVENT}, $3 FROM published
            WHERE NOT republished
        )
        SELECT count(*) FROM published
        """,
        topic,
        ids,
        by.value,
    )
    return archived


async def republish(
    connection: Connection, application_ids: Sequence[UUID], event_ids: Sequence[UUID] | None = None
) -> int:
    """Put the archived events of these applications into the outbox once more, in their old order; returns how many.

    Of all their events, or of `event_ids` alone. An event that still waits, in the outbox or parked, is left out, and
    one that was archived several times is published once. Republications take turns until their transactions end, so
    that two at once make one row an event too. The connection must be in a transaction.
    """
    assert connection.is_in_transaction()
    await connection.execute("SELECT pg_advisory_xact_lock($1)", REPUBLISH_LOCK)
    done: str = await connection.execute(
        f"""
        WITH archived AS (
            SELECT DISTINCT ON (event_id) id, topic, {EVENT} FROM outbox_archive
            WHERE application_id = ANY ($1::uuid[]) AND ($2::uuid[] IS NULL OR event_id = ANY ($2))
            ORDER BY event_id, id
        )
        INSERT INTO outbox_events (topic, {EVENT}, republished)
        SELECT topic, {EVENT}, true FROM archived
        -- one look at what waits, instead of one for each event
        WHERE event_id <> ALL (ARRAY (
            SELECT event_id FROM outbox_events WHERE application_id = ANY ($1)
            UNION ALL
            SELECT event_id FROM outbox_parked WHERE application_id = ANY ($1)
        ))
        ORDER BY id
        """,
        application_ids,
        event_ids,
    )
    return int(done.rpartition(" ")[2])


async def waiting(connection: Connection, counted_max: int) -> dict[str, OutboxBacklog]:
    """What waits of each topic, counted up to `counted_max`; what is parked, up to that over all topics."""
    rows = await connection.fetch(
        """
        SELECT topic,
            (SELECT count(*) FROM (SELECT FROM outbox_events WHERE topic = listed.topic LIMIT $2) AS counted),
            (SELECT extract(epoch FROM clock_timestamp() - created_at)::float8 FROM (
                 SELECT id, created_at FROM outbox_events
                 WHERE topic = listed.topic AND NOT republished ORDER BY id LIMIT $2
             ) AS counted WHERE created_at <= clock_timestamp() ORDER BY id LIMIT 1),
            (SELECT count(*) FROM (SELECT topic FROM outbox_parked ORDER BY next_try_at LIMIT $2) AS counted
             WHERE counted.topic = listed.topic)
        FROM unnest($1::text[]) AS listed (topic)
        """,
        TOPICS,
        counted_max,
    )
    return {topic: OutboxBacklog(events, max(0.0, age or 0.0), parked) for topic, events, age, parked in rows}
