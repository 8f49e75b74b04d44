"""The SQL of `prequal up` and `prequal status`: what the tables hold, counted or estimated."""

from typing import TYPE_CHECKING

from prequal.core.errors import Transient
from prequal.core.topology import Service
from prequal.postgres.connections import Connection

if TYPE_CHECKING:
    from prequal.messaging.consumer_lag import Held


def has_applications(database_url: str) -> bool:
    """Whether there is an application already.

    Raises:
        Transient: the database does not answer.
    """
    import psycopg

    try:
        with psycopg.connect(database_url, connect_timeout=5, target_session_attrs="read-write") as connection:
            return connection.execute("SELECT EXISTS (SELECT FROM applications)").fetchone() == (True,)
    except psycopg.OperationalError as failure:
        raise Transient(f"the database does not answer: {type(failure).__name__}") from None


async def applications_bytes(connection: Connection) -> int:
    """The size of the table of applications."""
    size: int = await connection.fetchval("SELECT pg_relation_size('applications')")
    return size


async def resolved_dead_letters(connection: Connection, held: "Held") -> int:
    """Those of them that a person replayed or discarded.

    One that its topic does not hold any more does not count, nor one that an earlier topic of its name held.
    """
    resolved: int = await connection.fetchval(
        """
        SELECT count(DISTINCT (topic, partition, "offset"))
        FROM unnest($1::text[], $2::integer[], $3::bigint[], $4::bigint[], $5::timestamptz[])
             AS held (topic, partition, low, high, since)
        JOIN resolved_dead_letters USING (topic, partition)
        WHERE "offset" >= low AND "offset" < high AND written_at >= since AND action <> 'skipped'
        """,
        [topic for topic, _ in held.spans],
        [partition for _, partition in held.spans],
        [low for low, _ in held.spans.values()],
        [high for _, high in held.spans.values()],
        [held.since.get(partition) for partition in held.spans],
    )
    return resolved


async def applications_by_status(connection: Connection) -> dict[str, int]:
    """How many applications have each status; reads all of them."""
    rows = await connection.fetch("SELECT status, count(*) FROM applications GROUP BY status ORDER BY status")
    return {row[0]: row[1] for row in rows}


async def estimated_decided_by_status(connection: Connection) -> dict[str, int]:
    """How many applications have each status but PENDING, by the last ANALYZE."""
    rows = await connection.fetch(
        """
        SELECT status, round(frequency * reltuples / greatest(relpages, 1) * pg_relation_size(pg_class.oid)
                             / current_setting('block_size')::integer)::bigint
        FROM pg_class
        JOIN pg_stats ON tablename = relname AND schemaname = relnamespace::regnamespace::text
        CROSS JOIN unnest(most_common_vals::text::text[], most_common_freqs) AS seen (status, frequency)
        WHERE pg_class.oid = 'applications'::regclass AND attname = 'status' AND status <> 'PENDING'
        ORDER BY status
        """
    )
    return {row[0]: row[1] for row in rows}


async def decisions_last_minute(connection: Connection) -> int:
    """By decision-service's inbox rows: an index finds the newest of them, and applications have no such index."""
    decisions: int = await connection.fetchval(
        """
        SELECT count(*) FROM processed_messages
        WHERE consumer = $1 AND processed_at > now() - interval '1 minute'
        """,
        Service.DECISION.value,
    )
    return decisions
