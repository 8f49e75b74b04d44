"""Dead letters over the JSON API: listed, shown, replayed, discarded, as the pages and `prequal dlq` do it."""

import asyncio
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Query

from prequal.console.api import models
from prequal.console.api.rights import Visiting, needs
from prequal.console.rights import Right
from prequal.ops import dead_letter_resolution
from prequal.ops.dead_letter_json import as_json, contents
from prequal.ops.dead_letter_resolution import DeadLetterSelection, Resolution
from prequal.ops.selection import read_moment, read_source_topic
from prequal.ops.stored_dead_letter import DeadLetterId, DeadLetterState

router = APIRouter(prefix="/dead-letters", tags=["dead letters"])

Moment = Annotated[str | None, Query(max_length=64, description="2026-11-23T09:30:00Z, or 2h for 2 hours ago.")]


@router.get("", response_model=models.DeadLetters, **needs(Right.DEAD_LETTERS))
async def list_dead_letters(
    visit: Visiting,
    reason: Annotated[str | None, Query(max_length=100, description="Only of this kind of error.")] = None,
    topic: Annotated[str | None, Query(max_length=100, description="Only those of this topic.")] = None,
    since: Moment = None,
    until: Moment = None,
    resolved: Annotated[bool, Query(description="Those replayed or discarded too.")] = False,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
    after: Annotated[str | None, Query(max_length=200, description="The last one of the page before.")] = None,
) -> dict[str, Any]:
    """List the dead letters that wait, in the order of their ids."""
    last = None if after is None else DeadLetterId.read(after)
    selection = DeadLetterSelection(
        kind=reason,
        since=None if since is None else read_moment("since", since),
        until=None if until is None else read_moment("until", until),
        source=None if topic is None else read_source_topic(topic),
    )
    found = await asyncio.to_thread(dead_letter_resolution.find, visit.console.settings, selection)
    shown = [each for each in found if resolved or each.state is DeadLetterState.WAITING]
    behind = [each for each in shown if last is None or each.id > last]
    return {"dead_letters": list(map(as_json, behind[:limit])), "total": len(shown)}


@router.get("/{dead_letter}", response_model=models.WholeDeadLetter, **needs(Right.DEAD_LETTERS))
async def show_dead_letter(visit: Visiting, dead_letter: str) -> dict[str, Any]:
    """Show one with key, headers and payload, PANs masked; the look is in the record."""
    id_ = DeadLetterId.read(dead_letter)
    (whole,) = await asyncio.to_thread(dead_letter_resolution.fetch, visit.console.settings, [id_])
    async with visit.writing() as connection:
        await dead_letter_resolution.record_look_at(connection, visit.session.actor, whole.dead_letter)
    return as_json(whole.dead_letter) | contents(whole)


@router.post("/replay", response_model=models.Resolution, **needs(Right.RESOLVE_DEAD_LETTERS))
async def replay_dead_letters(visit: Visiting, given: models.Replaying) -> dict[str, Any]:
    """Send dead letters back to their topics, unchanged."""
    work = partial(dead_letter_resolution.replay, force=given.force)
    return await _resolved(visit, given, work)


@router.post("/discard", response_model=models.Resolution, **needs(Right.RESOLVE_DEAD_LETTERS))
async def discard_dead_letters(visit: Visiting, given: models.Discarding) -> dict[str, Any]:
    """Resolve dead letters without replaying them, for a reason."""
    return await _resolved(visit, given, partial(dead_letter_resolution.discard, because=given.because))


async def _resolved(
    visit: Visiting, given: models.Replaying | models.Discarding, work: "partial[Resolution]"
) -> dict[str, Any]:
    selection = DeadLetterSelection(tuple(DeadLetterId.read(text) for text in dict.fromkeys(given.ids)))
    settings, by = visit.console.settings, visit.session.actor
    done = await asyncio.to_thread(partial(work, settings, selection, by=by, dry_run=given.dry_run))
    return {
        "dry_run": given.dry_run,
        "resolved": [str(each.id) for each in done.resolved],
        "already_resolved": [str(each.id) for each in done.already_resolved],
    }
