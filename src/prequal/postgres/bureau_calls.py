"""The number of allowed calls of the bureau on each day of India, in one row a day.

Invariant: a day's count never passes the limit of the process that adds to it, however many add at once.
"""

from prequal.postgres.connections import Connection

TODAY = "(now() AT TIME ZONE interval '5:30')::date"
"""SQL: the day in India, whose clocks never change."""


async def count(connection: Connection, wanted: int, calls_max: int) -> int:
    """Count `wanted` calls as made today, or as many as are left of `calls_max`; returns how many.

    None also for one who lost a race for the last ones.
    """
    counted: int | None = await connection.fetchval(
        f"""
        WITH left_today AS (
            SELECT $2::integer - coalesce((SELECT calls FROM bureau_calls WHERE day = {TODAY}), 0) AS calls
        ), counted AS (
            INSERT INTO bureau_calls AS known (day, calls)
            SELECT {TODAY}, least($1::integer, calls) FROM left_today WHERE calls > 0
            ON CONFLICT (day) DO UPDATE SET calls = known.calls + excluded.calls
            WHERE known.calls + excluded.calls <= $2::integer
            RETURNING day
        )
        SELECT least($1::integer, calls) FROM left_today, counted
        """,
        wanted,
        calls_max,
    )
    return counted or 0


async def of_today(connection: Connection) -> int:
    """The calls that were counted today."""
    calls: int | None = await connection.fetchval(f"SELECT calls FROM bureau_calls WHERE day = {TODAY}")
    return calls or 0
