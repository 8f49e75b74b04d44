"""The number of encryptions under each key, added up over all processes.

Invariant: a key's count only grows; it may lack what a process that was killed had counted since its last report.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from prequal.postgres.connections import Connection


@dataclass(frozen=True, slots=True)
class KeyUse:
    """What is known of a key that encrypted something."""

    first_used: datetime
    last_used: datetime
    encryptions: int


async def add(connection: Connection, uses: Mapping[bytes, int]) -> None:
    """Add encryptions to the counts of keys, by key id."""
    await connection.execute(
        """
        INSERT INTO key_uses AS known (key_id, encryptions)
        SELECT key_id, encryptions FROM unnest($1::bytea[], $2::bigint[]) AS used (key_id, encryptions) ORDER BY key_id
        ON CONFLICT (key_id) DO UPDATE
        SET encryptions = known.encryptions + EXCLUDED.encryptions, last_used = now()
        """,
        list(uses),
        list(uses.values()),
    )


async def by_key(connection: Connection) -> dict[bytes, KeyUse]:
    """The count of every key that ever encrypted, by key id."""
    rows = await connection.fetch("SELECT key_id, first_used, last_used, encryptions FROM key_uses ORDER BY first_used")
    return {bytes(row[0]): KeyUse(*row[1:]) for row in rows}


async def of_the_newest(connection: Connection) -> int:
    """The encryptions of the key that encrypted last; 0 before the first."""
    row = await connection.fetchrow("SELECT encryptions FROM key_uses ORDER BY last_used DESC LIMIT 1")
    return 0 if row is None else int(row[0])
