"""The SQL of challenges: which version decides a share of the applications.

Invariant: a challenge is inserted, never changed; the newest one counts, for as long as what it challenges is in force.
"""

from dataclasses import dataclass
from datetime import datetime

from prequal.postgres.connections import Connection
from prequal.record.acts import Actor


@dataclass(frozen=True, slots=True)
class Challenge:
    """That a version decides a share, in basis points, while an activation is in force."""

    version: str
    hash: bytes
    share: int
    activation_id: int
    begun_at: datetime
    begun_by: str


async def newest(connection: Connection) -> Challenge | None:
    """The challenge that was written last; None when there is none, or that was the end of one."""
    row = await connection.fetchrow(
        """
        SELECT version, hash, share_basis_points, activation_id, begun_at, begun_by
        FROM policy_challenges ORDER BY id DESC LIMIT 1
        """
    )
    return None if row is None or row[0] is None else Challenge(*row)


async def insert_challenge(
    connection: Connection, version: str, digest: bytes, share: int, activation_id: int, actor: Actor
) -> None:
    """Let a version decide a share while this activation is in force."""
    await connection.execute(
        """
        INSERT INTO policy_challenges (version, hash, share_basis_points, activation_id, begun_by_kind, begun_by)
        VALUES ($1, $2, $3, $4, $5, $6)
        """,
        version,
        digest,
        share,
        activation_id,
        actor.kind,
        actor.name,
    )


async def insert_end(connection: Connection, actor: Actor) -> None:
    """Let no version challenge any more."""
    await connection.execute(
        "INSERT INTO policy_challenges (begun_by_kind, begun_by) VALUES ($1, $2)", actor.kind, actor.name
    )
