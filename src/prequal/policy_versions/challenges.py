"""A challenger: an approved version that decides a share of the applications, in the place of the one in force.

Invariant: it holds until it is ended or another activation takes effect; each act is recorded in its own transaction,
which is the caller's.
"""

from typing import Any, Final

from prequal.domain.policy.challenge import SHARE_MAX
from prequal.policy_versions import challenge_queries, queries
from prequal.policy_versions.challenge_queries import Challenge, Course
from prequal.policy_versions.life import (
    NOTHING,
    Conflict,
    Seen,
    found,
    loaded,
    require_approved,
    require_as_seen,
    require_no_author,
    require_own,
)
from prequal.postgres.connections import Connection
from prequal.record.acts import Actor, Detail, record_act

RUNNING: Final = ("version", "hash", "share_basis_points", "begun_at", "begun_by", "challenged", "decisions")
"""What is said of a challenge that holds."""


def as_shown(challenge: Challenge | None) -> str:
    """The challenger and its share in basis points, as a form carries what its page showed; empty without one."""
    return f"{challenge.version} {challenge.share}" if challenge else ""


async def begin(connection: Connection, actor: Actor, version: str, share: int, seen: Seen = NOTHING) -> None:
    """Let an approved version decide `share` basis points of the applications.

    It takes the place of the challenge that was seen; where none was compared, of one that the actor began.

    Raises:
        NoSuchVersion: nobody proposed it.
        Conflict: it is not approved as it stands, is in force, this code does not understand it, the share is not
            1 … 5,000, something is not as it was seen, the actor is an author, or another person began the challenge
            that holds.
    """
    if not 1 <= share <= SHARE_MAX:
        raise Conflict(f"A challenger decides from 0.01 to {SHARE_MAX // 100} per cent of the applications.")
    await queries.lock_acts(connection)
    stored = await found(connection, version)
    await require_as_seen(connection, stored, seen)
    require_approved(stored)
    require_no_author(actor, stored, "let it challenge")
    if stored.is_in_force:
        raise Conflict(f"{version} is in force, and does not challenge itself.")
    await _require_place(connection, actor, seen.challenge)
    policy = loaded(version, stored.document, stored.hash)
    (live,) = await queries.effective_activations(connection, 1)
    await challenge_queries.insert_challenge(connection, version, policy.digest, share, live.id, actor)
    details: dict[str, Detail] = {"hash": policy.hash, "share_basis_points": share, "challenged": live.version}
    await record_act(connection, actor, "policy_challenged", "policy", version, details)


async def _require_place(connection: Connection, actor: Actor, shown: str | None) -> None:
    holds = await current(connection)
    if holds is None:
        if not shown:
            return
        raise Conflict("A challenger was shown, and now no version challenges the one in force.")
    decides = f"{holds.version} decides {holds.share / 100:g} % of the applications"
    if shown is None:
        require_own(actor, f"{decides}, begun", holds.version, holds.begun_by, holds.begun_at)
    elif shown not in (as_shown(holds), holds.version):
        before = "Another challenger or share was shown" if shown else "No challenger was shown"
        raise Conflict(f"{before}: now {decides}.")


async def end(connection: Connection, actor: Actor, version: str | None = None) -> None:
    """Let the version in force decide everything again; of `version`, the one that is to challenge no more.

    Raises:
        Conflict: nothing challenges it, or another version does.
    """
    await queries.lock_acts(connection)
    challenge = await current(connection)
    if challenge is None:
        raise Conflict("No version challenges the one in force.")
    if version not in (None, challenge.version):
        raise Conflict(f"{version} does not challenge the one in force: {challenge.version} does.")
    await challenge_queries.insert_end(connection, actor)
    await record_act(connection, actor, "policy_challenge_ended", "policy", challenge.version)


async def current(connection: Connection) -> Challenge | None:
    """The challenge that holds, if one does."""
    course = await challenge_queries.course_of_newest(connection)
    return course.challenge if course and course.holds else None


async def decisions(connection: Connection, course: Course) -> dict[str, dict[str, int]]:
    """The applications of the `challenger` and of the `challenged`, by status, each status with its number."""
    found: dict[str, dict[str, int]] = {"challenger": {}, "challenged": {}}
    for digest, status, number in await challenge_queries.decisions(connection, course):
        found["challenger" if digest == course.challenge.hash else "challenged"][status] = number
    return found


async def report(connection: Connection) -> dict[str, Any]:
    """Which version challenges, with what share, since when and by whom, and how each side decided.

    All of it is null when none does; `last` is then how the last one went, and why it ended.
    """
    course = await challenge_queries.course_of_newest(connection)
    found = None if course is None else await _course_as_json(connection, course)
    if found and course and course.holds:
        return found | {"last": None}
    return dict.fromkeys(RUNNING) | {"last": found}


async def _course_as_json(connection: Connection, course: Course) -> dict[str, Any]:
    challenge = course.challenge
    running = {
        "version": challenge.version,
        "hash": challenge.hash.hex(),
        "share_basis_points": challenge.share,
        "begun_at": challenge.begun_at.isoformat(),
        "begun_by": challenge.begun_by,
        "challenged": course.challenged,
        "decisions": await decisions(connection, course),
    }
    if course.ended_at is None:
        return running
    ended = {"ended_at": course.ended_at.isoformat(), "ended_by": course.ended_by}
    return running | ended | {"ended_by_version": course.ended_by_version}
