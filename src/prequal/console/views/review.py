"""Review: the queue of cases that the policy leaves to people, one case, and what a reviewer does with it.

Invariant: what a case does not allow is said on its page, as it is now, and with what was typed; who looks at a case is
in the record before it is shown.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Final, TypeAlias
from uuid import UUID

from starlette.responses import Response

from prequal.console.done import Done
from prequal.console.forms import uuid_of, whole_number
from prequal.console.guard import Page
from prequal.console.live import LivePage, from_database
from prequal.console.paging import cut
from prequal.console.rights import Right
from prequal.console.visit import Visit
from prequal.core.errors import UsageError
from prequal.domain.policy.reasons import explain
from prequal.domain.review import LEASE_MINUTES, LEASE_MINUTES_MAX, REASONS
from prequal.policy_versions import life
from prequal.postgres import clock
from prequal.postgres.connections import Connection
from prequal.review import cases
from prequal.review.errors import CaseNotMoved, NoSuchCase, UnfitText
from prequal.review.queries import Order, Subject

PAGE_CASES: Final = 50

Act: TypeAlias = Callable[[Visit, Connection, UUID], Awaitable[Done]]


async def show(visit: Visit) -> Response:
    """The undecided cases, a page at a time: those first whose target time comes first, or the largest."""
    order = Order.AMOUNT if visit.request.query_params.get("by") == Order.AMOUNT else Order.AGE
    after = visit.request.query_params.get("after")
    try:
        async with visit.reading() as connection:
            queue = await _queue(order, connection, None if after is None else _id(after))
    except NoSuchCase as why:
        return visit.problem(404, "Nothing here", str(why))
    return visit.page("review.html", **queue, is_further=after is not None)


async def _queue(order: Order, connection: Connection, after: UUID | None = None) -> dict[str, Any]:
    """A page of the queue; the first one is live."""
    found, last = cut(await cases.page(connection, order, PAGE_CASES + 1, after), PAGE_CASES)
    more = last and last.application_id
    return {"now": await clock.now(connection), "cases": found, "order": order, "more": more}


async def show_one(visit: Visit) -> Response:
    """One case: the application, why the policy left it to people, notes and votes."""
    return await _case(visit, 200)


async def act(visit: Visit) -> Response:
    """Claim, write a note, ask for a second look, or decide; what was typed for another of these is kept."""
    chosen = ACTS.get(visit.form.get("act", ""))
    if chosen is None:
        raise UsageError("Choose what to do with the case.")
    application_id = _id(visit.request.path_params["id"])
    try:
        async with visit.writing() as connection:
            done = await chosen(visit, connection, application_id)
    except CaseNotMoved as why:
        return await _case(visit, 409, str(why))
    except UnfitText as why:
        return await _case(visit, 422, str(why))
    if chosen is _claim and visit.form.get("text"):
        return await _case(visit, 200, done=done.value)  # a reload claims it again, as it is
    reason = visit.form.get("reason", "") if chosen is _note else ""
    kept = {"reason": reason} if reason in REASONS else {}
    return visit.moved(f"/review/{application_id}", done, **kept)


async def _case(visit: Visit, status: int, problem: str = "", **shown_as: str) -> Response:
    try:
        async with visit.writing() as connection:
            shown = await cases.show_to(connection, visit.session.actor, _id(visit.request.path_params["id"]))
            left_to_people = await _reason(connection, shown.subject)
    except NoSuchCase as why:
        return visit.problem(404, "Nothing here", str(why))
    return visit.page(
        "case.html",
        status,
        shown=shown,
        left_to_people=left_to_people,
        problem=problem,
        typed=visit.form.get("text", ""),
        minutes=visit.form.get("minutes", str(LEASE_MINUTES)),
        minutes_max=LEASE_MINUTES_MAX,
        chosen=visit.form.get("reason", visit.request.query_params.get("reason", "")),
        reasons=REASONS.values(),
        sentences={code: reason.en for code, reason in REASONS.items()},
        mine=shown.case.is_claimed and shown.case.claimed_by == visit.session.person,
        has_voted=visit.session.person in {vote.voter for vote in shown.votes},
        **shown_as,
    )


async def _reason(connection: Connection, subject: Subject) -> str:
    """Why the policy left it to people, in words; in figures where this code does not understand the version."""
    policy = await life.policy_of(connection, subject.policy_version, subject.policy_hash)
    return explain(policy, subject.rule, json.loads(subject.measures)).sentence


async def _claim(visit: Visit, connection: Connection, application_id: UUID) -> Done:
    minutes = whole_number(visit.form.get("minutes", str(LEASE_MINUTES)), 1, LEASE_MINUTES_MAX)
    if minutes is None:
        raise UnfitText(f"A case is claimed for 1 to {LEASE_MINUTES_MAX} minutes.")
    await cases.claim(connection, visit.session.actor, application_id, minutes)
    return Done.CLAIMED


async def _note(visit: Visit, connection: Connection, application_id: UUID) -> Done:
    await cases.note(connection, visit.session.actor, application_id, visit.form.get("text", ""))
    return Done.NOTED


async def _second_look(visit: Visit, connection: Connection, application_id: UUID) -> Done:
    await cases.ask_second_look(connection, visit.session.actor, application_id, visit.form.get("text", ""))
    return Done.SECOND_LOOK


async def _decide(visit: Visit, connection: Connection, application_id: UUID) -> Done:
    reason = REASONS.get(visit.form.get("reason", ""))
    if reason is None:
        raise UnfitText("Choose a reason; it says the outcome as well.")
    if visit.form.get("text"):
        raise UnfitText("The note below is not written yet, and cannot be once the case is decided: write or empty it.")
    case = await cases.decide(connection, visit.session.actor, application_id, reason.outcome, reason.code)
    return Done.DECIDED if case.outcome else Done.VOTED


ACTS: Final[Mapping[str, Act]] = {
    "claim": _claim,
    "note": _note,
    "second-look": _second_look,
    "decide": _decide,
}


def _id(text: str) -> UUID:
    found = uuid_of(text)
    if found is None:
        raise NoSuchCase
    return found


PAGES: Final = (
    Page("/review", Right.REVIEW, show),
    Page("/review/{id}", Right.REVIEW, show_one),
    Page("/review/{id}", Right.DECIDE_REVIEW, act, "POST"),
)
LIVE: Final = tuple(
    LivePage(f"/live/review/{order}", Right.REVIEW, ("review_queue",), from_database(partial(_queue, order)))
    for order in Order
)
