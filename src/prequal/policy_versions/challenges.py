"""A challenger: an approved version that decides a share of the applications, in the place of the one in force.

Invariant: it holds until it is ended or another activation takes effect; each act is recorded in its own transaction,
which is the caller's.
"""

from typing import Any

from prequal.domain.policy.challenge import SHARE_MAX
from prequal.policy_versions import challenge_queries, queries
from prequal.policy_versions.challenge_queries import Challenge
from prequal.policy_versions.life import Conflict, found, loaded, require_approved
from prequal.postgres.connections import Connection
from prequal.record.acts import Actor, Detail, record_act


async def begin(connection: Connection, actor: Actor, version: str, share: int) -> None:
    """Let an approved version decide `share` basis points of the applications, in the place of any other challenger.

    Raises:
        NoSuchVersion: nobody proposed it.
        Conflict: it is not approved as it stands, is in force, this code does not understand it, or the share is not
            1 … 5,000.
    """
    if not 1 <= share <= SHARE_MAX:
        raise Conflict(f"A challenger decides from 0.01 to {SHARE_MAX // 100} per cent of the applications.")
    await queries.lock_acts(connection)
    stored = await found(connection, version)
    require_approved(stored)
    if stored.is_in_force:
        raise Conflict(f"{version} is in force, and does not challenge itself.")
    policy = loaded(version, stored.document, stored.hash)
    (live,) = await queries.effective_activations(connection, 1)
    await challenge_queries.insert_challenge(connection, version, policy.digest, share, live.id, actor)
    details: dict[str, Detail] = {"hash": policy.hash, "share_basis_points": share, "challenged": live.version}
    await record_act(connection, actor, "policy_challenged", "policy", version, details)


async def end(connection: Connection, actor: Actor) -> None:
    """Let the version in force decide everything again.

    Raises:
        Conflict: nothing challenges it.
    """
    await queries.lock_acts(connection)
    challenge = await current(connection)
    if challenge is None:
        raise Conflict("No version challenges the one in force.")
    await challenge_queries.insert_end(connection, actor)
    await record_act(connection, actor, "policy_challenge_ended", "policy", challenge.version)


async def current(connection: Connection) -> Challenge | None:
    """The challenge that holds, if one does."""
    challenge = await challenge_queries.newest(connection)
    in_force = await queries.effective_activations(connection, 1)
    return challenge if challenge and [challenge.activation_id] == [each.id for each in in_force] else None


async def report(connection: Connection) -> dict[str, Any]:
    """Which version challenges, with what share, since when and by whom; all null when none does."""
    challenge = await current(connection)
    return {
        "version": challenge and challenge.version,
        "hash": challenge and challenge.hash.hex(),
        "share_basis_points": challenge and challenge.share,
        "begun_at": challenge and challenge.begun_at.isoformat(),
        "begun_by": challenge and challenge.begun_by,
    }
