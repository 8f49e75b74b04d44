"""The SQL of versions of the policy and of their activations.

Invariant: an activation is inserted, never changed; in force is the one that took effect last, by the database's clock
when the statement begins: a transaction that waited for `lock_acts` may have begun before what it waited for.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from prequal.policy_versions import shadow_queries
from prequal.postgres.connections import Connection
from prequal.record.acts import Actor

ACTS_LOCK = 0x706F6C69  # "poli"


class VersionState(StrEnum):
    """How far a version came. A draft is a file; what is stored was checked.

    checked ──backtest──▶ backtested ──approve──▶ approved ──activate──▶ active ──another is active──▶ retired
       ▲                       │                      │                     ▲                             │
       └────── an edit ────────┴──────────────────────┘                     └────────── rollback ─────────┘
    """

    CHECKED = "checked"
    BACKTESTED = "backtested"
    APPROVED = "approved"
    ACTIVE = "active"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True)
class StoredVersion:
    """A version as it is stored, and where it stands by the database's clock; hashes are SHA-256."""

    version: str
    document: str
    hash: bytes
    authors: tuple[str, ...]
    """Everybody who proposed a text of this version."""
    proposed_by: str
    proposed_at: datetime
    backtest_hash: bytes | None
    backtest_report: str | None
    """The report as JSON, without its flips."""
    backtested_at: datetime | None
    approved_hash: bytes | None
    approved_backtest_hash: bytes | None
    approved_by: str | None
    approved_at: datetime | None
    is_in_force: bool
    was_in_force: bool
    is_activated: bool
    """Now, before, or from a time that has not come."""
    scheduled_for: datetime | None
    """The next time at which it takes effect."""
    has_challenged: bool
    challenge_share: int | None
    """The basis points of the applications that it decides in the place of the one in force, while it challenges it."""
    is_shadow: bool
    ended_shadow: bool = False
    """Whether it was the shadow until the act that answers with it."""

    @property
    def state(self) -> VersionState:
        """Where the version stands."""
        if self.was_in_force:
            return VersionState.ACTIVE if self.is_in_force else VersionState.RETIRED
        if self.approved_hash == self.hash and self.approved_backtest_hash == self.backtest_hash:
            return VersionState.APPROVED
        return VersionState.CHECKED if self.backtest_hash is None else VersionState.BACKTESTED


@dataclass(frozen=True, slots=True)
class Activation:
    """That a version decides, from a time on, until another does; `is_ahead` when it was made before that time.

    `ended_shadow` where the version was the shadow until it was made.
    """

    version: str
    hash: bytes
    effective_from: datetime
    id: int
    is_ahead: bool = False
    ended_shadow: bool = False


async def lock_acts(connection: Connection) -> None:
    """Let no other act on policies happen before this transaction ends."""
    await connection.execute("SELECT pg_advisory_xact_lock($1)", ACTS_LOCK)


_STORED = f"""
    WITH in_force AS (
        SELECT id, version FROM policy_activations WHERE effective_from <= statement_timestamp()
        ORDER BY effective_from DESC, id DESC LIMIT 1
    )
    SELECT version, document, hash, authors, proposed_by, proposed_at,
           backtest_hash, backtest_report::text, backtested_at,
           approved_hash, approved_backtest_hash, approved_by, approved_at,
           version = (SELECT version FROM in_force),
           EXISTS (
               SELECT FROM policy_activations AS past
               WHERE past.version = stored.version AND effective_from <= statement_timestamp()
           ),
           EXISTS (SELECT FROM policy_activations AS any_time WHERE any_time.version = stored.version),
           (
               SELECT min(effective_from) FROM policy_activations AS ahead
               WHERE ahead.version = stored.version AND effective_from > statement_timestamp()
           ),
           EXISTS (SELECT FROM policy_challenges AS challenge WHERE challenge.version = stored.version),
           (
               SELECT share_basis_points
               FROM (
                   SELECT version, share_basis_points, activation_id FROM policy_challenges ORDER BY id DESC LIMIT 1
               ) AS newest
               WHERE newest.version = stored.version AND activation_id = (SELECT id FROM in_force)
           ),
           EXISTS (
               SELECT FROM ({shadow_queries.HOLDS}) AS shadow
               WHERE (shadow.version, shadow.hash) = (stored.version, stored.hash)
           )
    FROM policy_versions AS stored
"""


async def versions_after(connection: Connection, name: str, most: int) -> list[StoredVersion]:
    """So many versions whose names follow this one, in their order: an edit moves none of them to another page."""
    rows = await connection.fetch(f"{_STORED} WHERE version > $1 ORDER BY version LIMIT $2", name, most)
    return [StoredVersion(*row) for row in rows]


async def versions_before(connection: Connection, key: tuple[datetime, str] | None, most: int) -> list[StoredVersion]:
    """So many versions, the newest first, that were proposed before this time, or then under a lesser name.

    The time is as it was when a version was shown: an edit proposes the version again. Without a key the newest.
    """
    at, name = key or (None, "")
    rows = await connection.fetch(
        f"""
        {_STORED}
        WHERE $1::timestamptz IS NULL OR (proposed_at, version) < ($1, $2)
        ORDER BY proposed_at DESC, version DESC LIMIT $3
        """,
        at,
        name,
        most,
    )
    return [StoredVersion(*row) for row in rows]


async def version(connection: Connection, name: str) -> StoredVersion | None:
    """One version; None when there is none of this name."""
    row = await connection.fetchrow(f"{_STORED} WHERE version = $1", name)
    return None if row is None else StoredVersion(*row)


async def document(connection: Connection, name: str) -> str | None:
    """The document of a version."""
    found: str | None = await connection.fetchval("SELECT document FROM policy_versions WHERE version = $1", name)
    return found


async def put_version(connection: Connection, name: str, text: str, digest: bytes, author: Actor) -> None:
    """Store a document, in place of an earlier one of its version, whose backtest is forgotten.

    An approval is kept, with the hash that it was of; that of an approver who becomes an author is taken back.
    """
    await connection.execute(
        """
        INSERT INTO policy_versions AS stored (version, document, hash, authors, proposed_by_kind, proposed_by)
        VALUES ($1, $2, $3, ARRAY[$5], $4, $5)
        ON CONFLICT (version) DO UPDATE
        SET document = EXCLUDED.document,
            hash = EXCLUDED.hash,
            authors = CASE WHEN $5 = ANY (stored.authors) THEN stored.authors ELSE stored.authors || $5 END,
            proposed_by_kind = EXCLUDED.proposed_by_kind,
            proposed_by = EXCLUDED.proposed_by,
            proposed_at = EXCLUDED.proposed_at,
            backtest_hash = NULL,
            backtest_report = NULL,
            backtested_at = NULL,
            (approved_hash, approved_backtest_hash, approved_by_kind, approved_by, approved_at) = (
                SELECT stored.approved_hash, stored.approved_backtest_hash, stored.approved_by_kind, stored.approved_by,
                       stored.approved_at
                WHERE stored.approved_by <> $5
            )
        """,
        name,
        text,
        digest,
        author.kind,
        author.name,
    )


async def put_backtest(connection: Connection, name: str, digest: bytes, report: str) -> None:
    """Store the hash of a whole report, and the report without its flips."""
    await connection.execute(
        """
        UPDATE policy_versions SET backtest_hash = $2, backtest_report = $3::jsonb, backtested_at = now()
        WHERE version = $1
        """,
        name,
        digest,
        report,
    )


async def recorder_of_backtest(connection: Connection, name: str) -> str | None:
    """Who recorded the backtest of a version; None where the record has that no longer."""
    found: str | None = await connection.fetchval(
        """
        SELECT actor FROM acts
        WHERE subject_kind = 'policy' AND subject = $1 AND action = 'policy_backtested' ORDER BY id DESC LIMIT 1
        """,
        name,
    )
    return found


async def put_approval(connection: Connection, name: str, approver: Actor) -> None:
    """Store that the document and the backtest that are there now are approved."""
    await connection.execute(
        """
        UPDATE policy_versions
        SET approved_hash = hash,
            approved_backtest_hash = backtest_hash,
            approved_by_kind = $2,
            approved_by = $3,
            approved_at = now()
        WHERE version = $1
        """,
        name,
        approver.kind,
        approver.name,
    )


async def insert_activation(
    connection: Connection, name: str, effective_from: datetime | None, actor: Actor
) -> Activation:
    """Let a version decide from a time on, by default now.

    Where the database's clock stepped back it is no earlier than what was in force before: that would come back.
    """
    row = await connection.fetchrow(
        """
        INSERT INTO policy_activations (version, hash, effective_from, activated_by_kind, activated_by)
        SELECT version, hash,
               greatest(
                   coalesce($2, now()),
                   -- of those that took effect when they were made, whatever the clock says now
                   (SELECT max(effective_from) FROM policy_activations WHERE effective_from = activated_at)
               ),
               $3, $4
        FROM policy_versions WHERE version = $1
        RETURNING version, hash, effective_from, id, effective_from > activated_at
        """,
        name,
        effective_from,
        actor.kind,
        actor.name,
    )
    assert row is not None
    return Activation(*row)


async def effective_activations(connection: Connection, at_most: int) -> list[Activation]:
    """The activations whose time has come, the one in force first."""
    rows = await connection.fetch(
        """
        SELECT version, hash, effective_from, id FROM policy_activations WHERE effective_from <= statement_timestamp()
        ORDER BY effective_from DESC, id DESC LIMIT $1
        """,
        at_most,
    )
    return [Activation(*row) for row in rows]
