"""The acts of people on the cases that the policy leaves to them.

Invariant: each act is one transaction, with its line in the record; a case is decided once, and its application's
status with it, by the person who has the claim, or by two different people.

    OPEN ──vote on a larger amount, or second look──► SECOND_PERSON ──two votes for one outcome──► DECIDED
      └──────────────────────────────────── vote ───────────────────────────────────────────────────▲
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from prequal.core import failpoints
from prequal.core.failpoints import Place
from prequal.domain.application import Status
from prequal.domain.identity_detection import holds_identity
from prequal.domain.review import LEASE_MINUTES, LEASE_MINUTES_MAX, REASONS, ReviewReason
from prequal.postgres.connections import Connection
from prequal.record.acts import Actor, Detail, record_act, record_look
from prequal.review import queries
from prequal.review.errors import (
    AlreadyDecided,
    ClaimedByAnother,
    LeaseOver,
    NoSuchCase,
    NotClaimed,
    SamePersonTwice,
    SecondPersonNeeded,
    UnfitText,
)
from prequal.review.queries import Case, CaseState, Note, Order, Subject, Vote

NOTE_CHARACTERS_MAX: Final = 2000
PAGE_MAX: Final = 500


@dataclass(frozen=True, slots=True)
class WholeCase:
    """A case with all that a reviewer sees of it."""

    case: Case
    subject: Subject
    notes: Sequence[Note]
    votes: Sequence[Vote]


async def show(connection: Connection, application_id: UUID) -> WholeCase:
    """A case, from one snapshot.

    Raises:
        NoSuchCase: the application has none.
    """
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        case = await queries.case_of(connection, application_id)
        if case is None:
            raise NoSuchCase
        return WholeCase(
            case,
            await queries.subject_of(connection, application_id),
            await queries.notes_of(connection, application_id),
            await queries.votes_of(connection, application_id),
        )


async def show_to(connection: Connection, actor: Actor, application_id: UUID) -> WholeCase:
    """What `show` gives, once it is in the record that this person looks at the application.

    Raises:
        NoSuchCase: the application has none.
    """
    shown = await show(connection, application_id)
    await record_look(connection, actor, "application_viewed", "application", str(application_id))
    return shown


async def page(
    connection: Connection, order: Order = Order.AGE, limit: int = 50, after: UUID | None = None
) -> list[Case]:
    """The undecided cases in `order`, `limit` at most, behind the case of `after`: the last one of the page before.

    Raises:
        NoSuchCase: `after` has none.
    """
    if after is not None and await queries.case_of(connection, after) is None:
        raise NoSuchCase
    return await queries.queue(connection, order, min(limit, PAGE_MAX), after)


async def claim(connection: Connection, actor: Actor, application_id: UUID, minutes: int = LEASE_MINUTES) -> Case:
    """Take a case for 1 … 480 minutes, or lengthen one's own lease; more are 480.

    Raises:
        NoSuchCase, AlreadyDecided, ClaimedByAnother: as they say.
        SecondPersonNeeded: `actor` has voted already.
    """
    async with connection.transaction():
        case = await _undecided(connection, application_id)
        if await _has_voted(connection, actor, application_id):
            raise SecondPersonNeeded
        _require_no_other(case, actor)
        lease = timedelta(minutes=min(minutes, LEASE_MINUTES_MAX))
        await queries.claim(connection, application_id, actor.name, lease)
        return await _recorded(connection, actor, "review_claimed", application_id)


async def note(connection: Connection, actor: Actor, application_id: UUID, text: str) -> Case:
    """Add a note to an undecided case; a claim is not needed.

    Raises:
        NoSuchCase, AlreadyDecided: as they say.
        UnfitText: it is empty, too long, or holds an identity number.
    """
    text = _checked(text)
    async with connection.transaction():
        await _undecided(connection, application_id)
        await queries.insert_note(connection, application_id, actor, text)
        return await _recorded(connection, actor, "review_note_written", application_id)


async def ask_second_look(connection: Connection, actor: Actor, application_id: UUID, text: str) -> Case:
    """Release a claimed case with a note; two people decide it from now on, whatever its amount.

    Raises:
        As for `decide`, and `UnfitText` as for `note`.
    """
    text = _checked(text)
    async with connection.transaction():
        _require_claim(await _undecided(connection, application_id), actor)
        await queries.insert_note(connection, application_id, actor, text)
        await queries.wait_for_second_person(connection, application_id)
        return await _recorded(connection, actor, "review_second_look_asked", application_id)


async def decide(connection: Connection, actor: Actor, application_id: UUID, outcome: Status, reason: str) -> Case:
    """Vote on a claimed case, which decides it, or is the first of two votes for one outcome.

    Raises:
        NoSuchCase, AlreadyDecided, NotClaimed, LeaseOver, SamePersonTwice: as they say.
        UnfitText: the reason is not one of this outcome's.
    """
    chosen = _reason(outcome, reason)
    async with connection.transaction():
        case = await _vote(connection, actor, application_id, chosen)
        failpoints.reached(Place.REVIEW_BEFORE_COMMIT)
    failpoints.reached(Place.REVIEW_AFTER_COMMIT)
    return case


async def _vote(connection: Connection, actor: Actor, application_id: UUID, chosen: ReviewReason) -> Case:
    case = await _undecided(connection, application_id)
    if await _has_voted(connection, actor, application_id):
        raise SamePersonTwice
    _require_claim(case, actor)
    await queries.insert_vote(connection, application_id, actor, chosen)
    details: dict[str, Detail] = {"outcome": chosen.outcome.value, "reason": chosen.code}
    votes = await queries.votes_of(connection, application_id)
    agreeing = [vote.voter for vote in votes if vote.outcome == chosen.outcome]
    if len(agreeing) < case.people_needed:
        await queries.wait_for_second_person(connection, application_id)
        return await _recorded(connection, actor, "review_voted", application_id, details)
    if await queries.move_status(connection, application_id, chosen) is None:
        raise AlreadyDecided
    await queries.close(connection, application_id, chosen)
    details["people"] = ", ".join(agreeing)
    return await _recorded(connection, actor, "review_decided", application_id, details)


async def _undecided(connection: Connection, application_id: UUID) -> Case:
    case = await queries.locked_case(connection, application_id)
    if case is None:
        raise NoSuchCase
    if case.state == CaseState.DECIDED:
        raise AlreadyDecided
    return case


async def _has_voted(connection: Connection, actor: Actor, application_id: UUID) -> bool:
    return any(vote.voter == actor.name for vote in await queries.votes_of(connection, application_id))


def _require_no_other(case: Case, actor: Actor) -> None:
    if case.is_claimed and case.claimed_by != actor.name:
        assert case.claimed_by is not None
        assert case.lease_until is not None
        raise ClaimedByAnother(case.claimed_by, case.lease_until)


def _require_claim(case: Case, actor: Actor) -> None:
    _require_no_other(case, actor)
    if case.claimed_by != actor.name:
        raise NotClaimed
    if not case.is_claimed:
        raise LeaseOver


async def _recorded(
    connection: Connection, actor: Actor, action: str, application_id: UUID, details: dict[str, Detail] | None = None
) -> Case:
    await record_act(connection, actor, action, "application", str(application_id), details)
    case = await queries.case_of(connection, application_id)
    assert case is not None
    return case


def _reason(outcome: Status, code: str) -> ReviewReason:
    reason = REASONS.get(code)
    if reason is None or reason.outcome is not outcome:
        fitting = ", ".join(each.code for each in REASONS.values() if each.outcome is outcome)
        raise UnfitText(f"A reason for this outcome is one of {fitting}.")
    return reason


def _checked(text: str) -> str:
    text = text.strip()
    if not 0 < len(text) <= NOTE_CHARACTERS_MAX or "\0" in text:
        raise UnfitText(f"A note has 1 to {NOTE_CHARACTERS_MAX} characters.")
    if holds_identity(text):
        raise UnfitText("A note must not contain a PAN or an Aadhaar number: leave the number out.")
    return text
