"""SQL that fills the list of the decided applications, beside the services and in batches.

What came lies on both sides of a range of ids. Within it each application is in the list, or undecided and below the
mark (`postgres.undecided`), or among the changes, which triggers keep in the transaction that makes them.

Invariant: one fills at a time, and a batch is in the list together with the range that says so.
"""

from typing import Final

from prequal.domain.application import FIRST_ID
from prequal.ops.backtest import BANDS
from prequal.postgres.connections import Connection

BATCH: Final = 5_000
NO_BAND: Final = 0

_BAND: Final = f"""
    CASE {" ".join(f"WHEN cibil_score >= {lowest} THEN {lowest}" for lowest in reversed(BANDS))} ELSE {NO_BAND} END
"""
_LIST: Final = f"""
    INSERT INTO application_list (id, client, status, score_band, pan_tail)
    SELECT id, client, status, {_BAND}, right(pan_number_masked, 5) FROM following WHERE status <> 'PENDING'
    ON CONFLICT (id)
"""
_FOLLOWING: Final = "SELECT id, client, status, cibil_score, pan_number_masked FROM applications"


async def lock(connection: Connection) -> bool:
    """Keep others from filling until the transaction ends; False where another fills at this moment."""
    locked = "SELECT present FROM application_list_range WHERE present FOR UPDATE SKIP LOCKED"
    return await connection.fetchval(locked) is not None


async def apply_changes(connection: Connection) -> bool:
    """Bring the rows of changed applications up to date, `BATCH` at most; False when there are more."""
    taken: int = await connection.fetchval(
        f"""
        WITH taken AS MATERIALIZED (
            DELETE FROM application_list_changes
            WHERE (application_id, number) IN (
                SELECT application_id, number FROM application_list_changes ORDER BY application_id, number LIMIT $1
            )
            RETURNING application_id
        ), changed AS MATERIALIZED (
            SELECT DISTINCT application_id FROM taken
        ), following AS MATERIALIZED (
            SELECT application.* FROM changed
            CROSS JOIN LATERAL ({_FOLLOWING} WHERE id = application_id LIMIT 1) AS application
        ), deleted AS (
            DELETE FROM application_list
            WHERE id = ANY (ARRAY (SELECT application_id FROM changed EXCEPT SELECT id FROM following))
        ), listed AS (
            {_LIST} DO UPDATE SET status = excluded.status, score_band = excluded.score_band
        )
        SELECT count(*) FROM taken
        """,
        BATCH,
    )
    return taken < BATCH


async def extend_up(connection: Connection) -> bool:
    """List what the mark of the undecided has passed; False when there is more."""
    below = "(SELECT below FROM application_list_range WHERE present)"
    mark = "(SELECT passed FROM undecided_mark WHERE present)"
    return await _extend(connection, f"id >= {below} AND id < {mark}", "ASC", "below", f"greatest({below}, {mark})")


async def extend_down(connection: Connection) -> bool:
    """List what was there before the list, the newest first; False when there is more."""
    following = "id < (SELECT lowest FROM application_list_range WHERE present)"
    return await _extend(connection, following, "DESC", "lowest", f"uuid '{FIRST_ID}'")


async def _extend(connection: Connection, following: str, order: str, end: str, last: str) -> bool:
    """List the first `BATCH` of those that follow, and move the range's end behind them; False when there is more.

    SQL: which follow, in which order, the end's column, and where it is when none follows.
    """
    found: int = await connection.fetchval(
        f"""
        WITH following AS MATERIALIZED (
            {_FOLLOWING} WHERE {following} ORDER BY id {order} LIMIT $1
        ), listed AS (
            {_LIST} DO NOTHING
        ), moved AS (
            UPDATE application_list_range SET {end} = reached
            FROM (
                SELECT CASE
                    WHEN (SELECT count(*) FROM following) < $1 THEN {last}
                    ELSE (SELECT id FROM following ORDER BY id {"DESC" if order == "ASC" else "ASC"} LIMIT 1)
                END
            ) AS moves_to (reached)
            WHERE present AND {end} <> reached
        )
        SELECT count(*) FROM following
        """,
        BATCH,
    )
    return found < BATCH
