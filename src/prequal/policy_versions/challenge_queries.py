"""The SQL of challenges: the version that decides a share of the applications.

Invariant: a challenge is inserted, never changed; the newest one counts, for as long as what it challenges is in force.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from prequal.domain.application import LAST_ID, first_id
from prequal.postgres.connections import Connection
from prequal.record.acts import Actor

LOOKED_AT_MAX: Final = 100_000
"""So many of the applications of a challenge are counted, the newest ones."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """That a version decides a share, in basis points, while an activation is in force."""

    version: str
    hash: bytes
    share: int
    activation_id: int
    begun_at: datetime
    begun_by: str


@dataclass(frozen=True, slots=True)
class Course:
    """How a challenge went: what it challenges, and when and by whom it ended.

    `ended_by_version` is the version whose activation ended it, None where somebody ended the challenge itself.
    """

    challenge: Challenge
    challenged: str
    challenged_hash: bytes
    ended_at: datetime | None
    ended_by: str | None
    ended_by_version: str | None

    @property
    def holds(self) -> bool:
        """Whether the version still decides its share."""
        return self.ended_at is None


async def newest(connection: Connection) -> Challenge | None:
    """The challenge that was written last; None when there is none, or that was the end of one."""
    row = await connection.fetchrow(
        """
        SELECT version, hash, share_basis_points, activation_id, begun_at, begun_by
        FROM policy_challenges ORDER BY id DESC LIMIT 1
        """
    )
    return None if row is None or row[0] is None else Challenge(*row)


async def course_of_newest(connection: Connection) -> Course | None:
    """The challenge that was begun last, whether or not it has ended; None when there never was one."""
    row = await connection.fetchrow(
        """
        SELECT challenge.version, challenge.hash, share_basis_points, activation_id, challenge.begun_at,
               challenge.begun_by, challenged.version, challenged.hash,
               coalesce(ended.begun_at, successor.effective_from), coalesce(ended.begun_by, successor.activated_by),
               CASE WHEN ended.begun_at IS NULL THEN successor.version END
        FROM policy_challenges AS challenge
        JOIN policy_activations AS challenged ON challenged.id = challenge.activation_id
        -- Behind the newest challenge there is at most the end of it, and it is ended only while it holds.
        LEFT JOIN LATERAL (
            SELECT begun_at, begun_by FROM policy_challenges WHERE id > challenge.id ORDER BY id LIMIT 1
        ) AS ended ON true
        LEFT JOIN LATERAL (
            SELECT version, effective_from, activated_by FROM policy_activations
            WHERE (effective_from, id) > (challenged.effective_from, challenged.id)
              AND effective_from <= statement_timestamp()
            ORDER BY effective_from, id LIMIT 1
        ) AS successor ON true
        WHERE challenge.version IS NOT NULL ORDER BY challenge.id DESC LIMIT 1
        """
    )
    return None if row is None else Course(Challenge(*row[:6]), *row[6:])


async def decisions(connection: Connection, course: Course) -> list[tuple[bytes, str, int]]:
    """Document, status and number of the applications that came during a challenge and that either side decided.

    The newest `LOOKED_AT_MAX` of them are counted.
    """
    rows = await connection.fetch(
        """
        SELECT policy_hash, status, count(*) FROM (
            SELECT policy_hash, status FROM applications WHERE id BETWEEN $1 AND $2 ORDER BY id DESC LIMIT $3
        ) AS newest
        WHERE policy_hash IN ($4, $5) GROUP BY 1, 2 ORDER BY 1, 2
        """,
        first_id(course.challenge.begun_at),
        first_id(course.ended_at) if course.ended_at else LAST_ID,
        LOOKED_AT_MAX,
        course.challenge.hash,
        course.challenged_hash,
    )
    return [(row[0], row[1], row[2]) for row in rows]


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
