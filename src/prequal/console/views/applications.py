"""Applications: found by POST, so that nothing typed stands in an address; and one of them with all that was done.

Invariant: who looks at an application is in the record before it is shown.
"""

import asyncio
import re
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from starlette.responses import Response

from prequal.api.decision import decision_body
from prequal.api.queries import decision_of_any_client
from prequal.console.guard import Page
from prequal.console.queries import applications
from prequal.console.queries.applications import LAST
from prequal.console.queries.overview import first_id
from prequal.console.rights import Right
from prequal.console.visit import Visit
from prequal.core.errors import UsageError
from prequal.domain.application import Status
from prequal.domain.pan_detection import looks_like_pan
from prequal.ops import timeline, timeline_queries
from prequal.record.acts import record_act

_TAIL: Final = re.compile(r"[0-9]{4}[A-Z]", re.ASCII)
FIELDS: Final = ("id", "status", "client", "tail", "until")


async def show(visit: Visit) -> Response:
    """The newest, and the form to search with."""
    return await _listed(visit, {}, LAST)


async def search(visit: Visit) -> Response:
    """What fits the form: one application by its id or its request's, else a page of the list."""
    asked = {name: visit.form.get(name, "") for name in FIELDS}
    if any(map(looks_like_pan, asked.values())):
        raise UsageError("A PAN is not searched for here: take the application's id, or the last five characters.")
    if asked["id"]:
        return visit.moved(f"/applications/{await _id_of(visit, asked['id'])}")
    asked["tail"] = asked["tail"].upper()
    if asked["tail"] and not _TAIL.fullmatch(asked["tail"]):
        raise UsageError("The end of a PAN is four digits and a letter, such as 1234F.")
    return await _listed(visit, asked, _key(visit, asked["until"]))


async def _listed(visit: Visit, asked: dict[str, str], key: UUID) -> Response:
    async with visit.reading() as connection:
        listing = await applications.before(
            connection, key, asked.get("status", ""), asked.get("client", ""), asked.get("tail", "")
        )
    filters = {name: asked.get(name, "") for name in FIELDS}
    return visit.page("applications.html", listing=listing, asked=filters, statuses=list(Status))


async def _id_of(visit: Visit, text: str) -> UUID:
    if (application_id := _uuid(text)) is not None:
        async with visit.reading() as connection:
            if await decision_of_any_client(connection, application_id) is not None:
                return application_id
    async with visit.reading() as connection:
        found = await timeline_queries.application_of_request(connection, text)
    if found is None:
        raise UsageError("There is no application of this id, and no accepted request of it within 7 days.")
    return found


def _key(visit: Visit, until: str) -> UUID:
    """Before which id the page begins: of the page before, else the end of a day."""
    if older := visit.form.get("older"):
        return _uuid(older) or LAST
    if not until:
        return LAST
    try:
        day = datetime.strptime(until, "%Y-%m-%d")  # noqa: DTZ007  # its zone comes next
        return first_id(day.replace(tzinfo=ZoneInfo(visit.console.settings.console_time_zone)) + timedelta(days=1))
    except (ValueError, OverflowError):
        raise UsageError("A date is written as 2026-11-28.") from None


async def show_one(visit: Visit) -> Response:
    """The timeline of one, its reasons and the path to yes."""
    application_id = _uuid(visit.request.path_params["id"])
    async with visit.writing() as connection:
        stored = None if application_id is None else await decision_of_any_client(connection, application_id)
        if application_id is not None and stored is not None:
            await record_act(connection, visit.session.actor, "application_viewed", "application", str(application_id))
    if application_id is None or stored is None:
        return visit.page("problem.html", 404, title="Nothing here", words="There is no application of this id.")
    settings = visit.console.settings
    story = await asyncio.to_thread(timeline.trace, settings, settings, application_id)
    version, digest = stored.policy_version, stored.policy_hash
    policy = None if version is None else await visit.console.policies.of(version, digest)
    decided: dict[str, Any] = decision_body(application_id, stored, policy, "en")
    return visit.page("application.html", story=story, decided=decided)


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


PAGES: Final = (
    Page("/applications", Right.APPLICATIONS, show),
    Page("/applications", Right.APPLICATIONS, search, "POST"),
    Page("/applications/{id}", Right.APPLICATIONS, show_one),
)
