"""Applications: found by POST, so that nothing typed stands in an address; and one of them with all that was done.

Invariant: who looks at an application is in the record before it is shown.
"""

import asyncio
import re
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

import asyncpg
from starlette.responses import Response

from prequal.api.decision import decision_body
from prequal.api.read_queries import Reviewed, StoredDecision
from prequal.console.forms import uuid_of
from prequal.console.guard import Page
from prequal.console.live import LivePage, from_database
from prequal.console.queries import applications
from prequal.console.queries.application_list import NO_BAND
from prequal.console.queries.applications import Wanted
from prequal.console.rights import Right
from prequal.console.visit import Visit
from prequal.core.errors import UsageError
from prequal.domain.application import LAST_ID, Status, first_id
from prequal.domain.pan_detection import looks_like_pan
from prequal.ops import timeline
from prequal.ops.backtest import BANDS, band_of
from prequal.ops.request_ids import submitted_by
from prequal.postgres import clock
from prequal.postgres.connections import Connection
from prequal.record.acts import record_look

_TAIL: Final = re.compile(r"[0-9]{4}[A-Z]", re.ASCII)
FIELDS: Final = ("id", "status", "client", "tail", "scores", "until")
SCORE_BANDS: Final = {**{band_of(lowest): lowest for lowest in BANDS}, band_of(None): NO_BAND}
"""The bands of a backtest's report, by their names: their lowest scores."""
TYPED_MAX: Final = 100
"""Characters of a field; normalising longer text (Unicode) takes time that grows with its square."""


async def show(visit: Visit) -> Response:
    """The newest, which are live, and the form to search with."""
    async with visit.reading() as connection:
        newest = await _newest(connection)
    return _page(visit, {}, newest)


async def _newest(connection: Connection) -> dict[str, Any]:
    listing = await applications.newest_before(connection, LAST_ID)
    return {"now": await clock.now(connection), "listing": listing}


async def search(visit: Visit) -> Response:
    """What fits the form: one application by its id or its request's, else a page of the list."""
    asked = {name: visit.form.get(name, "") for name in FIELDS}
    if any(len(typed) > TYPED_MAX for typed in asked.values()):
        raise UsageError(f"A field of this search has at most {TYPED_MAX} characters: shorten what is typed.")
    # One UUID in 300 holds five letters, four digits and a letter.
    if any(looks_like_pan(typed) for typed in asked.values() if uuid_of(typed) is None):
        raise UsageError("A PAN is not searched for here: take the application's id, or the last five characters.")
    if asked["id"]:
        return visit.moved(f"/applications/{await _id_of(visit, asked['id'])}")
    asked["tail"] = asked["tail"].upper()
    if asked["tail"] and not _TAIL.fullmatch(asked["tail"]):
        raise UsageError("The end of a PAN is four digits and a letter, such as 1234F.")
    return await _listed(visit, asked, _key(visit, asked["until"]))


async def _listed(visit: Visit, asked: dict[str, str], key: UUID) -> Response:
    wanted = Wanted(asked["status"], asked["client"], asked["tail"], SCORE_BANDS.get(asked["scores"]))
    async with visit.reading() as connection:
        if wanted == Wanted():
            listing = await applications.newest_before(connection, key)
        else:
            listing = await applications.search(connection, key, wanted)
    return _page(visit, asked, {"now": None, "listing": listing})


def _page(visit: Visit, asked: dict[str, str], listed: dict[str, Any]) -> Response:
    filters = {name: asked.get(name, "") for name in FIELDS}
    return visit.page("applications.html", **listed, asked=filters, statuses=list(Status), bands=list(SCORE_BANDS))


async def _id_of(visit: Visit, text: str) -> UUID:
    if (application_id := uuid_of(text)) is not None:
        async with visit.reading() as connection:
            if await applications.exists(connection, application_id):
                return application_id
    async with visit.reading() as connection:
        found = await submitted_by(connection, text)
    if found is None:
        raise UsageError("There is no application of this id, and no request of it submitted one within 7 days.")
    return found


def _key(visit: Visit, until: str) -> UUID:
    """Before which id the page begins: of the page before, else the end of a day."""
    if older := visit.form.get("older"):
        return uuid_of(older) or LAST_ID
    if not until:
        return LAST_ID
    try:
        day = datetime.strptime(until, "%Y-%m-%d")  # noqa: DTZ007  # its zone comes next
        return first_id(day.replace(tzinfo=ZoneInfo(visit.console.settings.console_time_zone)) + timedelta(days=1))
    except (ValueError, OverflowError):
        raise UsageError("A date is written as 2026-11-28.") from None


async def show_one(visit: Visit) -> Response:
    """The timeline of one, its reasons and the path to yes."""
    application_id = uuid_of(visit.request.path_params["id"])
    settings = visit.console.settings
    async with timeline.connected_to_trace(settings) as connection:
        try:
            record = await timeline.read(connection, application_id or visit.request.path_params["id"])
        except UsageError:
            return visit.problem(404, "Nothing here", "There is no application of this id.")
        found: UUID = record.application["id"]
        await record_look(connection, visit.session.actor, "application_viewed", "application", str(found))
    decided: dict[str, Any] = decision_body(found, _decision(record.application), record.policy, "en")
    has_case = record.application["opened_at"] is not None
    shown = await asyncio.to_thread(timeline.timeline_of, record, settings)
    return visit.page("application.html", timeline=shown, decided=decided, has_case=has_case)


def _decision(row: asyncpg.Record) -> StoredDecision:
    """What the API's answer is made of, from what the timeline has read."""
    is_reviewed = row["outcome"] is not None
    return StoredDecision(
        review=Reviewed(row["outcome"], row["reason"], row["decided_at"], row["opened_at"]) if is_reviewed else None,
        status=row["status"],
        cibil_score=row["cibil_score"],
        monthly_income_inr=row["monthly_income_inr"],
        loan_amount_inr=row["loan_amount_inr"],
        loan_type=row["loan_type"],
        rule=row["decision_rule"],
        measures=row["decision_measures"],
        policy_version=row["policy_version"],
        policy_hash=row["policy_hash"],
        updated_at=row["updated_at"],
        report_age_seconds=row["report_age_seconds"],
    )


PAGES: Final = (
    Page("/applications", Right.APPLICATIONS, show),
    Page("/applications", Right.APPLICATIONS, search, "POST"),
    Page("/applications/{id}", Right.APPLICATIONS, show_one),
)
LIVE: Final = (LivePage("/live/applications", Right.APPLICATIONS, ("applications_list",), from_database(_newest)),)
