"""A version's way: proposed, backtested, approved and activated by others than its authors, and rolled back.

Invariant: what is activated is the very document that somebody other than its authors approved, on the very backtest;
no author activates it, nor again after a rollback; each act is recorded in its own transaction, which is the caller's.
"""

import contextlib
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Final

from prequal.core.errors import Refused
from prequal.domain.policy import packaged
from prequal.domain.policy.loading import load
from prequal.domain.policy.policy import Policy
from prequal.domain.policy.problems import NotAPolicy
from prequal.policy_versions import queries, shadow_end
from prequal.policy_versions.queries import Activation, StoredVersion
from prequal.policy_versions.way_back import version_before, way_back
from prequal.postgres import paging
from prequal.postgres.connections import Connection
from prequal.record.acts import Actor, Detail, record_act

HISTORY_MAX: Final = 1_000


class NoSuchVersion(Refused):
    """There is no version of this name."""


class Conflict(Refused):
    """The act does not fit where the version stands; the message says why, in one sentence."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a person was shown before the act, which is refused when it is no longer so; None is not compared."""

    hash: bytes | None = None
    """Of the version's document."""
    backtest: bytes | None = None
    """The hash of its backtest; empty where there was none."""
    in_force: str | None = None
    challenge: str | None = None
    """The version that challenges, or that with its share, as `challenges.as_shown` has it; empty where none did."""


NOTHING: Final = Seen()
"""Of somebody who was shown nothing that is compared."""


async def propose(connection: Connection, actor: Actor, text: str) -> StoredVersion:
    """Store a document as a version, in place of the actor's earlier text of it; the same again changes nothing.

    An edit of the shadow ends it.

    Raises:
        NotAPolicy: the document breaks a rule.
        Conflict: its version was activated, or challenged, or another person proposed it.
    """
    policy = load(text)
    await queries.lock_acts(connection)
    earlier = await queries.version(connection, policy.version)
    if earlier and earlier.hash == policy.digest:
        return earlier
    if earlier:
        _require_replaceable(earlier, actor)
    await queries.put_version(connection, policy.version, text, policy.digest, actor)
    await _record(connection, actor, "policy_proposed", policy.version, hash=policy.hash)
    ended = await shadow_end.end_of(connection, actor, policy.version)
    return replace(await found(connection, policy.version), ended_shadow=ended)


def _require_replaceable(stored: StoredVersion, actor: Actor) -> None:
    name, author = stored.version, stored.proposed_by
    if stored.is_activated or stored.has_challenged:
        done = "was activated" if stored.is_activated else "was a challenger"
        raise Conflict(f"{name} {done}, and such a document is never changed: give it a new version.")
    if author != actor.name:
        how = f"give your document another version, or have {author} propose it again"
        raise Conflict(f"{name} was proposed by {author}: {how}.")


async def require_recordable(connection: Connection, actor: Actor, version: str, seen: Seen) -> StoredVersion:
    """The version, of which a backtest may be recorded, before one is run that takes minutes.

    Raises:
        NoSuchVersion, Conflict: what `record_backtest` would refuse.
    """
    stored = await found(connection, version)
    require_not_activated(stored)
    await _require_place_for_backtest(connection, actor, stored, seen)
    return stored


async def record_backtest(
    connection: Connection, actor: Actor, policy: Policy, report_hash: bytes, report: str, seen: Seen = NOTHING
) -> StoredVersion:
    """Store the backtest of a version: the hash of the whole report, and the report as JSON without its flips.

    It takes the place of the backtest that was seen; where none was compared, of one that the actor recorded.

    Raises:
        NoSuchVersion: nobody proposed it.
        Conflict: it was edited since the backtest began, or activated; it has another backtest than was seen, or
            another person's.
    """
    await queries.lock_acts(connection)
    stored = await found(connection, policy.version)
    require_not_activated(stored)
    if stored.hash != policy.digest:
        raise Conflict(f"{stored.version} was edited while its backtest ran: run it again.")
    await _require_place_for_backtest(connection, actor, stored, seen)
    await queries.put_backtest(connection, stored.version, report_hash, report)
    details = {"hash": policy.hash, "backtest": report_hash.hex()}
    await _record(connection, actor, "policy_backtested", stored.version, **details)
    return await found(connection, stored.version)


async def _require_place_for_backtest(connection: Connection, actor: Actor, stored: StoredVersion, seen: Seen) -> None:
    await require_as_seen(connection, stored, seen)
    if seen.backtest is None and stored.backtested_at is not None:
        by = await queries.recorder_of_backtest(connection, stored.version)
        digest = (stored.backtest_hash or b"").hex()
        require_own(actor, f"{stored.version} has a backtest, recorded", digest, by, stored.backtested_at)


def require_own(actor: Actor, what: str, name: str, by: str | None, at: datetime) -> None:
    """Refuse to take the place of what another person set, who would not learn of it.

    Raises:
        Conflict: the message says what that is, who set it when, and how it is replaced all the same: by its name.
    """
    if by != actor.name:
        how = f"to take its place, add `--replace {name}` (over the JSON API, `replaces`)"
        raise Conflict(f"{what} by {by or 'somebody'} at {at:%Y-%m-%d %H:%M}Z: {how}.")


def require_not_activated(stored: StoredVersion) -> None:
    """Raises `Conflict` for a version whose backtest can no longer change."""
    if stored.is_activated:
        raise Conflict(f"{stored.version} was activated: the backtest that was approved stays with it.")


async def approve(
    connection: Connection, actor: Actor, version: str, hash_: bytes, backtest_hash: bytes
) -> StoredVersion:
    """Approve a document on its backtest, both named by their hashes: what the approver saw is what is approved.

    Raises:
        NoSuchVersion: nobody proposed it.
        Conflict: the actor is an author, a backtest is missing, or either hash is no longer the version's.
    """
    await queries.lock_acts(connection)
    stored = await found(connection, version)
    _require_approvable(stored, actor, hash_, backtest_hash)
    await queries.put_approval(connection, version, actor)
    details = {"hash": hash_.hex(), "backtest": backtest_hash.hex()}
    await _record(connection, actor, "policy_approved", version, **details)
    return await found(connection, version)


def _require_approvable(stored: StoredVersion, actor: Actor, hash_: bytes, backtest_hash: bytes) -> None:
    name = stored.version
    if stored.is_activated:
        raise Conflict(f"{name} was activated, and needs no other approval.")
    if actor.name in stored.authors:
        raise Conflict(f"{actor.name} is an author of {name}: another person must approve it.")
    if stored.backtest_hash is None:
        raise Conflict(f"{name} has no backtest that is recorded: there is nothing to approve it on.")
    if stored.hash != hash_:
        raise Conflict(f"{name} is another document than the one to be approved: its hash is {stored.hash.hex()}.")
    if stored.backtest_hash != backtest_hash:
        raise Conflict(f"{name} has another backtest than the one to be approved: {stored.backtest_hash.hex()}.")


async def activate(
    connection: Connection,
    actor: Actor,
    version: str,
    effective_from: datetime | None = None,
    seen: Seen = NOTHING,
) -> Activation:
    """Let an approved version decide, from a time on that lies ahead, or from now on.

    Raises:
        NoSuchVersion: nobody proposed it.
        Conflict: it is not approved as it stands, is in force already, is not as it was seen, the actor is an author,
            or the time has passed.
    """
    await queries.lock_acts(connection)
    stored = await found(connection, version)
    await require_as_seen(connection, stored, seen)
    require_approved(stored)
    require_no_author(actor, stored, "put it into force")
    if stored.is_in_force and effective_from is None:
        raise Conflict(f"{version} is in force already.")
    loaded(stored.version, stored.document, stored.hash)
    if effective_from is not None and effective_from <= await connection.fetchval("SELECT statement_timestamp()"):
        raise Conflict("A version takes effect now or later, and that time has passed.")
    return await _activate(connection, actor, version, effective_from, "policy_activated")


async def require_as_seen(connection: Connection, stored: StoredVersion, seen: Seen) -> None:
    """Refuse an act on another document, or in the place of another version, than the person was shown.

    Raises:
        Conflict: the message says what it is now.
    """
    if seen.hash is not None and seen.hash != stored.hash:
        digest = stored.hash.hex()
        raise Conflict(f"{stored.version} is another document than the one that was shown: its hash is {digest}.")
    if seen.backtest is not None and seen.backtest != (stored.backtest_hash or b""):
        digest = (stored.backtest_hash or b"").hex() or "none"
        raise Conflict(f"{stored.version} has another backtest than the one that was shown: {digest}.")
    if seen.in_force is not None and seen.in_force != (in_force := (await found(connection)).version):
        raise Conflict(f"Another version was shown as in force: now {in_force} is.")


def require_approved(stored: StoredVersion) -> None:
    """Refuse what nobody but its authors approved, as it stands.

    Raises:
        Conflict: the message says what is missing.
    """
    if stored.approved_hash is None:
        raise Conflict(f"{stored.version} is not approved.")
    if stored.approved_hash != stored.hash:
        raise Conflict(f"{stored.version} was edited after its approval: it needs another one.")
    if stored.approved_backtest_hash != stored.backtest_hash:
        raise Conflict(f"{stored.version} was approved on another backtest than the one it has: it needs another one.")
    if stored.approved_by in stored.authors:
        raise Conflict(f"{stored.version} was approved by its author alone: another person must approve it.")


def require_no_author(actor: Actor, stored: StoredVersion, act: str) -> None:
    """Raises `Conflict`, which says who may instead, for an author of any text of a version."""
    if actor.name in stored.authors:
        why = f"{actor.name} is an author of {stored.version}"
        raise Conflict(f"{why}: an approver or another risk officer must {act}.")


async def rollback(connection: Connection, actor: Actor, version: str, target: str | None = None) -> Activation:
    """Take the version in force out of force: the one before it, or `target`, decides again, from now on.

    Raises:
        Conflict: `version` is not in force, so that somebody was faster; no version was before it; `target` never was
            in force; or it was itself rolled back, and the actor is an author of it.
    """
    await queries.lock_acts(connection)
    history = [each.version for each in await queries.effective_activations(connection, HISTORY_MAX)]
    if history[:1] != [version]:
        raise Conflict(f"{version} is not in force: {history[0] if history else 'nothing'} is.")
    before = version_before(history)
    if target is not None and target not in history:
        raise Conflict(f"{target} never was in force, so that it cannot be gone back to: activate it.")
    if target == version or (target is None and before is None):
        raise Conflict(f"There is nothing to go back to: before {version} no other version was in force.")
    if target is not None and target not in way_back(history):
        require_no_author(actor, await found(connection, target), "put it into force")
    return await _activate(connection, actor, target or before or "", None, "policy_rolled_back", left=version)


async def version_behind(connection: Connection) -> str | None:
    """The version that a rollback of the one in force goes back to, if there is one."""
    history = [each.version for each in await queries.effective_activations(connection, HISTORY_MAX)]
    return version_before(history) if history else None


async def _activate(
    connection: Connection, actor: Actor, version: str, effective_from: datetime | None, action: str, **details: Detail
) -> Activation:
    ended = effective_from is None and await shadow_end.end_of(connection, actor, version)
    activation = await queries.insert_activation(connection, version, effective_from, actor)
    at = activation.effective_from.isoformat()
    await _record(connection, actor, action, version, hash=activation.hash.hex(), effective_from=at, **details)
    return replace(activation, ended_shadow=ended)


async def found(connection: Connection, version: str | None = None) -> StoredVersion:
    """A stored version, by default the one in force.

    Raises:
        NoSuchVersion: there is none.
    """
    name = version or next((each.version for each in await queries.effective_activations(connection, 1)), "")
    stored = await queries.version(connection, name)
    if stored is None:
        raise NoSuchVersion(f"There is no version {name}: see `prequal policy list`.")
    return stored


async def every_version(connection: Connection) -> list[StoredVersion]:
    """Every version, the one that was proposed first at the beginning."""
    versions = await paging.every(partial(queries.versions_after, connection), lambda each: each.version)
    return sorted(versions, key=lambda each: (each.proposed_at, each.version))


async def every_policy(connection: Connection) -> dict[str, Policy]:
    """Every stored version whose document this code understands, by its name."""
    policies = {}
    for stored in await every_version(connection):
        with contextlib.suppress(Conflict):
            policies[stored.version] = loaded(stored.version, stored.document, stored.hash)
    return policies


async def policy_of(connection: Connection, version: str, digest: bytes | None) -> Policy | None:
    """The policy that decided by this version and hash; older decisions, by v1, have no hash.

    None where this code cannot load it.
    """
    packed = packaged.policy_of(version)
    if packed is not None and digest in (None, packed.digest):
        return packed
    try:
        return loaded(version, await queries.document(connection, version), digest or b"")
    except Conflict:
        return None


def loaded(version: str, document: str | None, digest: bytes) -> Policy:
    """The policy of a stored document.

    Raises:
        Conflict: this code does not understand it, or it is not the one of this hash.
    """
    try:
        policy = load(document or "")
    except NotAPolicy as refusal:
        raise Conflict(f"This code does not understand the document of {version}: {refusal.problems[0]}") from None
    if policy.digest != digest or policy.version != version:
        raise Conflict(f"The document of {version} is not the one of its hash.")
    return policy


async def _record(connection: Connection, actor: Actor, action: str, version: str, **details: Detail) -> None:
    await record_act(connection, actor, action, "policy", version, details)
