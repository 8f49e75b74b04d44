"""Dead letters: listed, shown with their bytes masked, and replayed or discarded after a look at what would be done.

Invariant: nothing is done before its dry run was shown, and then to those alone that were chosen; who looks at one is
in the record before it is shown.
"""

import asyncio
from dataclasses import replace
from datetime import datetime
from functools import partial
from heapq import nlargest
from typing import Final

from starlette.responses import Response

from prequal.console.done import Done
from prequal.console.forms import SEVERAL
from prequal.console.guard import Page
from prequal.console.paging import cut
from prequal.console.rights import Right
from prequal.console.visit import Visit
from prequal.core.errors import UsageError
from prequal.domain.pan_detection import redact
from prequal.ops import dead_letter_resolution, queries
from prequal.ops.dead_letter_resolution import DeadLetterSelection, Resolution, UnfitReason
from prequal.ops.payload_view import show as view_of
from prequal.ops.payload_view import show_value
from prequal.ops.stored_dead_letter import DeadLetterId, DeadLetterState, StoredDeadLetter, plain

SHOWN_MAX: Final = 200
ACTS: Final = {"replay": Done.REPLAYED, "discard": Done.DISCARDED}


async def show(visit: Visit) -> Response:
    """A page of them, those that wait first, the newest first; while Kafka does not answer, of what was read last."""
    async with visit.reading() as connection:
        states = await queries.read_states(connection)
    snapshot = await visit.console.dead_letters.look()

    def state(dead_letter: StoredDeadLetter) -> DeadLetterState:
        return states.get((dead_letter.id, dead_letter.written_at), DeadLetterState.WAITING)

    def key(dead_letter: StoredDeadLetter, shown_as: str = "") -> tuple[bool, datetime, DeadLetterId]:
        return (shown_as or state(dead_letter)) == DeadLetterState.WAITING, dead_letter.written_at, dead_letter.id

    after = visit.request.query_params.get("after", "")
    was, _, place = after.partition(":")  # its state as it was shown: somebody may have resolved it since
    last = next((key(each, was) for each in snapshot.dead_letters if str(each.id) == place), None)
    behind = (each for each in snapshot.dead_letters if last is None or key(each) < last)
    found, end = cut(nlargest(SHOWN_MAX + 1, behind, key=key), SHOWN_MAX)
    return visit.page(
        "dead_letters.html",
        found=[replace(each, state=state(each)) for each in found],
        after=after if last else "",
        more=end and f"{state(end)}:{end.id}",
        total=len(snapshot.dead_letters),
        waiting=snapshot.waiting(states),
        all_chosen=visit.request.query_params.get("chosen") == "all",
        snapshot=snapshot,
    )


async def show_one(visit: Visit) -> Response:
    """One, with its headers and its bytes."""
    try:
        id_ = DeadLetterId.read(visit.request.path_params["dead_letter"])
        whole = await visit.console.dead_letters.whole(id_)
    except UsageError as why:
        return visit.problem(404, "Nothing here", str(why))
    dead_letter = whole.dead_letter
    async with visit.writing() as connection:
        await dead_letter_resolution.record_look_at(connection, visit.session.actor, dead_letter)
        done_by = await queries.resolution_of(connection, id_, dead_letter.written_at)
    if done_by:
        dead_letter = replace(dead_letter, state=DeadLetterState(done_by["action"]))
    return visit.page(
        "dead_letter.html",
        dead_letter=dead_letter,
        done_by=done_by,
        key=show_value(whole.key),
        headers=[(plain(name), show_value(value)) for name, value in whole.headers],
        payload=view_of(whole.value),
    )


async def resolve(visit: Visit) -> Response:
    """First what would be done, and once that is confirmed, do it."""
    act, because = visit.form.get("act", ""), visit.form.get("because", "")
    ids = [DeadLetterId.read(text) for text in visit.form.get("id", "").split(SEVERAL) if text]
    if act not in ACTS or not ids:
        raise UsageError("Choose one dead letter or more, and whether to replay or to discard.")
    visit.console.consumers.require()
    problem = ""
    if visit.form.get("confirmed") == "yes":
        try:
            await asyncio.to_thread(_work(visit, act, ids, because, dry_run=False))
            return visit.moved("/dead-letters", ACTS[act])
        except UnfitReason as why:
            problem, because = str(why), redact(because)
    resolution = await asyncio.to_thread(_work(visit, act, ids, because, dry_run=True))
    status = 409 if problem else 200
    return visit.page("resolve.html", status, act=act, resolution=resolution, problem=problem, typed=because)


def _work(visit: Visit, act: str, ids: list[DeadLetterId], because: str, *, dry_run: bool) -> "partial[Resolution]":
    settings, selection, by = visit.console.settings, DeadLetterSelection(tuple(ids)), visit.session.actor
    if act == "replay":
        return partial(dead_letter_resolution.replay, settings, selection, by=by, dry_run=dry_run)
    return partial(dead_letter_resolution.discard, settings, selection, because=because, by=by, dry_run=dry_run)


PAGES: Final = (
    Page("/dead-letters", Right.DEAD_LETTERS, show),
    Page("/dead-letters", Right.RESOLVE_DEAD_LETTERS, resolve, "POST"),
    Page("/dead-letters/{dead_letter}", Right.DEAD_LETTERS, show_one),
)
