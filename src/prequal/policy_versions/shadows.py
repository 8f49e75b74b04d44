"""A shadow: a version that decides beside the one in force, without effect.

Invariant: it holds until it is ended, another takes its place, its document is edited, or it comes into force; each act
is recorded in its own transaction, which is the caller's.
"""

from typing import Any

from prequal.policy_versions import queries, shadow_end, shadow_queries
from prequal.policy_versions.life import Conflict, found, loaded, require_own
from prequal.postgres.connections import Connection
from prequal.record.acts import Actor, record_act


async def begin(connection: Connection, actor: Actor, version: str, replaces: str | None = None) -> None:
    """Let a version decide beside the one in force, without effect. It need not be approved.

    It takes the place of a shadow that the actor set; of another person's where `replaces` names it.

    Raises:
        NoSuchVersion: nobody proposed it.
        Conflict: it is in force, or the shadow already, this code does not understand it, `replaces` is not the
            shadow, or another person set the one that is.
    """
    await queries.lock_acts(connection)
    stored = await found(connection, version)
    if stored.is_in_force:
        raise Conflict(f"{version} is in force: beside itself it differs nowhere.")
    if stored.is_shadow:
        raise Conflict(f"{version} is the shadow already.")
    await _require_place(connection, actor, replaces)
    policy = loaded(version, stored.document, stored.hash)
    await shadow_queries.insert_shadow(connection, version, policy.digest, actor)
    await record_act(connection, actor, "policy_shadowed", "policy", version, {"hash": policy.hash})


async def _require_place(connection: Connection, actor: Actor, replaces: str | None) -> None:
    named = await shadow_queries.shadow(connection)
    if replaces is None and named:
        what = f"{named.version} is the shadow, set"
        require_own(actor, what, named.version, named.begun_by, named.begun_at)
    if replaces not in (None, named and named.version):
        now = f"{named.version} is" if named else "there is none"
        raise Conflict(f"{replaces} is not the shadow: {now}.")


async def end(connection: Connection, actor: Actor, version: str | None = None) -> None:
    """Let no version decide beside the one in force; of `version`, the one that is to be the shadow no more.

    Raises:
        Conflict: there is no shadow, or it is another version.
    """
    await queries.lock_acts(connection)
    named = await shadow_queries.shadow(connection)
    if named is None:
        raise Conflict("There is no shadow.")
    if version not in (None, named.version):
        raise Conflict(f"{version} is not the shadow: {named.version} is.")
    await shadow_end.end(connection, actor, named)


async def report(connection: Connection) -> dict[str, Any]:
    """The shadow, and of how many applications it would have decided otherwise, by status and reason."""
    named = await shadow_queries.shadow(connection)
    rows = await shadow_queries.differences_by_reason(connection, named.hash) if named else []
    return {
        "version": named and named.version,
        "hash": named and named.hash.hex(),
        "differences": [
            {
                "live": {"status": status, "reason": reason},
                "shadow": {"status": outcome, "reason": other},
                "applications": applications,
            }
            for status, reason, outcome, other, applications in rows
        ],
    }
