"""Try it: an applicant's form for the sandbox, and its result with the reasons, as they come.

Invariant: it is there where the setting names a sandbox alone; a person is chosen by a number, so that no PAN is typed,
sent by the browser or shown.
"""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from starlette.responses import Response

from prequal.client import ApiClient
from prequal.console.forms import uuid_of, whole_number
from prequal.console.guard import Page
from prequal.console.live import LivePage
from prequal.console.queries import applications
from prequal.console.rights import Right
from prequal.console.visit import Console, Visit
from prequal.core.errors import Refused
from prequal.core.settings.console import ConsoleSettings
from prequal.domain.application import LoanType, Status
from prequal.domain.sandbox import SCORES

PERSONS: Final = tuple(SCORES.items())
NAME: Final = "Sandbox Applicant"
API_SECONDS: Final = 5.0
NO_SANDBOX: Final = "There is no sandbox."


async def show(visit: Visit) -> Response:
    """The applicant's form."""
    return _form(visit, 200) if visit.console.settings.try_it_api_url else _missing(visit)


async def send(visit: Visit) -> Response:
    """Post the application to the API, as any client does."""
    if not visit.console.settings.try_it_api_url:
        return _missing(visit)
    number = whole_number(visit.form.get("person", ""), 0, len(PERSONS) - 1)
    if number is None:
        return _form(visit, 422, "Choose one of the persons.")
    fields = {name: visit.form.get(name, "") for name in ("loan_type", "monthly_income_inr", "loan_amount_inr")}
    pan = PERSONS[number][0].reveal()  # published, and nobody's
    try:
        application_id = await asyncio.to_thread(
            lambda: _api(visit.console.settings).submit({"pan_number": pan, "applicant_name": NAME, **fields})
        )
    except Refused as why:
        return _form(visit, 422, str(why))
    return visit.moved(f"/try-it/{application_id}")


async def result(visit: Visit) -> Response:
    """Its status, and once it is decided why; until then the page is live."""
    if not _is_there(visit.console, visit.request.path_params):
        return _missing(visit)
    shown = await _result(visit.console, visit.request.path_params)
    async with visit.reading() as connection:
        asked = await applications.found(connection, UUID(visit.request.path_params["id"]))
    return visit.page("tried.html", asked=asked, **shown)


async def _follow(console: Console, given: Mapping[str, str]) -> dict[str, Any]:
    if not _is_there(console, given):
        raise Refused(NO_SANDBOX)
    return await _result(console, given)


def _is_there(console: Console, given: Mapping[str, str]) -> bool:
    return bool(console.settings.try_it_api_url and uuid_of(given["id"]))


async def _result(console: Console, given: Mapping[str, str]) -> dict[str, Any]:
    """What the API says of an application in both languages, and when it was asked."""
    found: list[dict[str, Any]] = await asyncio.to_thread(
        lambda: [_api(console.settings).decision(given["id"], language) for language in ("en", "hi")]
    )
    english, hindi = found
    return {"now": datetime.now(UTC), "over": english["status"] != Status.PENDING, "decided": english, "hindi": hindi}


def _form(visit: Visit, status: int, problem: str = "") -> Response:
    persons = [(number, str(pan), score) for number, (pan, score) in enumerate(PERSONS)]
    typed = {"loan_type": "HOME", "monthly_income_inr": "75000", "loan_amount_inr": "1500000", "person": "0"}
    return visit.page(
        "try_it.html",
        status,
        persons=persons,
        loan_types=list(LoanType),
        typed=typed | {name: value for name, value in visit.form.items() if name in typed},
        problem=problem,
    )


def _missing(visit: Visit) -> Response:
    return visit.problem(404, "Nothing here", NO_SANDBOX)


def _api(settings: ConsoleSettings) -> ApiClient:
    return ApiClient(settings.try_it_api_url, settings.try_it_token.get_secret_value() or None, API_SECONDS)


PAGES: Final = (
    Page("/try-it", Right.TRY_IT, show),
    Page("/try-it", Right.TRY_IT, send, "POST"),
    Page("/try-it/{id}", Right.TRY_IT, result),
)
LIVE: Final = (LivePage("/live/try-it/{id}", Right.TRY_IT, ("tried_result",), _follow),)
