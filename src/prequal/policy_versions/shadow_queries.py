"""The SQL of shadows: the version without effect, and its differences from the decisions.

Invariant: a shadow is inserted, never changed; the newest one holds, until its version takes effect.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from prequal.postgres.columns import Columns
from prequal.postgres.connections import Connection
from prequal.record.acts import Actor


@dataclass(frozen=True, slots=True)
class NamedShadow:
    """That a document decides beside the one in force, since when and by whom."""

    version: str
    hash: bytes
    begun_at: datetime
    begun_by: str


@dataclass(frozen=True, slots=True)
class Difference:
    """An application of which the shadow's status is another than the one that was decided."""

    application_id: UUID
    version: str
    hash: bytes
    live_version: str
    live_status: str
    live_reason: str
    shadow_status: str
    shadow_reason: str


_DIFFERENCES = Columns[Difference](
    ("application_id", "uuid", lambda each: each.application_id),
    ("version", "text", lambda each: each.version),
    ("hash", "bytea", lambda each: each.hash),
    ("live_version", "text", lambda each: each.live_version),
    ("live_status", "text", lambda each: each.live_status),
    ("live_reason", "text", lambda each: each.live_reason),
    ("shadow_status", "text", lambda each: each.shadow_status),
    ("shadow_reason", "text", lambda each: each.shadow_reason),
)


HOLDS: Final = """
    SELECT version, hash, begun_at, begun_by
    FROM (SELECT version, hash, begun_at, begun_by FROM policy_shadows ORDER BY id DESC LIMIT 1) AS newest
    WHERE NOT EXISTS (
        SELECT FROM policy_activations AS since
        WHERE since.version = newest.version
            AND since.effective_from > newest.begun_at AND since.effective_from <= statement_timestamp()
    )
"""
"""The shadow: not one whose version was put into force since, which happens without an act where the time was ahead."""


async def shadow(connection: Connection) -> NamedShadow | None:
    """The shadow; None when there is none."""
    row = await connection.fetchrow(HOLDS)
    return None if row is None or row[0] is None else NamedShadow(*row)


async def insert_shadow(connection: Connection, version: str | None, digest: bytes | None, actor: Actor) -> None:
    """Make a version the shadow; without one there is none from now on."""
    await connection.execute(
        "INSERT INTO policy_shadows (version, hash, begun_by_kind, begun_by) VALUES ($1, $2, $3, $4)",
        version,
        digest,
        actor.kind,
        actor.name,
    )


async def insert_differences(connection: Connection, differences: Sequence[Difference]) -> None:
    """Keep where the shadow differs; what is there already stays."""
    await connection.execute(
        f"""
        INSERT INTO policy_shadow_differences (
            application_id, version, hash, live_version, live_status, live_reason, shadow_status, shadow_reason
        )
        SELECT difference.* FROM {_DIFFERENCES.table("difference", first=1)}
        ON CONFLICT DO NOTHING
        """,
        *_DIFFERENCES.parameters(differences),
    )


async def differences_by_reason(connection: Connection, digest: bytes) -> list[tuple[str, str, str, str, int]]:
    """Of one document: live status and reason, the shadow's status and reason, and how many applications."""
    rows = await connection.fetch(
        """
        SELECT live_status, live_reason, shadow_status, shadow_reason, count(*) FROM policy_shadow_differences
        WHERE hash = $1 GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
        """,
        digest,
    )
    return [(row[0], row[1], row[2], row[3], row[4]) for row in rows]
