"""Review over the JSON API: the queue, a case, and what reviewers do with it, as on the pages."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query

from prequal.console.api import models
from prequal.console.api.rights import Visiting, needs
from prequal.console.rights import Right
from prequal.domain.application import Status
from prequal.review import cases
from prequal.review.as_json import case_as_json, reasons, whole
from prequal.review.queries import Order

router = APIRouter(prefix="/review", tags=["review"])


@router.get("/cases", response_model=models.Cases, **needs(Right.REVIEW))
async def list_cases(
    visit: Visiting,
    by: Order = Order.AGE,
    limit: Annotated[int, Query(ge=1, le=cases.PAGE_MAX)] = 50,
    after: Annotated[UUID | None, Query(description="The last one of the page before.")] = None,
) -> dict[str, Any]:
    """List the undecided cases: the nearest target time first, or the largest amount."""
    async with visit.reading() as connection:
        found = await cases.page(connection, by, limit, after)
    return {"cases": list(map(case_as_json, found))}


@router.get("/reasons", response_model=models.ReviewReasons, **needs(Right.REVIEW))
async def list_reasons() -> dict[str, Any]:
    """List the reasons of people's decisions, with the applicant's sentence."""
    return {"reasons": reasons()}


@router.get("/cases/{application_id}", response_model=models.WholeCase, **needs(Right.REVIEW))
async def show_case(visit: Visiting, application_id: UUID) -> dict[str, Any]:
    """Show a case: the application, the policy's reason, notes and votes."""
    async with visit.writing() as connection:
        return whole(await cases.show_to(connection, visit.session.actor, application_id))


@router.post("/cases/{application_id}/claim", response_model=models.Case, **needs(Right.DECIDE_REVIEW))
async def claim_case(visit: Visiting, application_id: UUID, claim: models.Claim) -> dict[str, Any]:
    """Take a case, or lengthen one's own lease on it."""
    async with visit.writing() as connection:
        return case_as_json(await cases.claim(connection, visit.session.actor, application_id, claim.minutes))


@router.post("/cases/{application_id}/notes", response_model=models.Case, **needs(Right.DECIDE_REVIEW))
async def note_on_case(visit: Visiting, application_id: UUID, note: models.Text) -> dict[str, Any]:
    """Write a note on a case; it cannot be changed afterwards."""
    async with visit.writing() as connection:
        return case_as_json(await cases.note(connection, visit.session.actor, application_id, note.text))


@router.post("/cases/{application_id}/second-look", response_model=models.Case, **needs(Right.DECIDE_REVIEW))
async def ask_second_look(visit: Visiting, application_id: UUID, note: models.Text) -> dict[str, Any]:
    """Release one's case with a note: two people decide it, whatever its amount."""
    async with visit.writing() as connection:
        return case_as_json(await cases.ask_second_look(connection, visit.session.actor, application_id, note.text))


@router.post("/cases/{application_id}/decision", response_model=models.Case, **needs(Right.DECIDE_REVIEW))
async def decide_case(visit: Visiting, application_id: UUID, decision: models.Decision) -> dict[str, Any]:
    """Decide a claimed case; where two people are needed, this is one of two votes."""
    outcome, actor = Status(decision.outcome), visit.session.actor
    async with visit.writing() as connection:
        return case_as_json(await cases.decide(connection, actor, application_id, outcome, decision.reason))
