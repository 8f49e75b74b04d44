"""Record: what people, operators and clients did, the newest first."""

from typing import Final

from starlette.responses import Response

from prequal.console.guard import Page
from prequal.console.queries import record
from prequal.console.rights import Right
from prequal.console.visit import Visit


async def show(visit: Visit) -> Response:
    """A page of it."""
    asked = visit.request.query_params.get("before", "")
    key = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 19 else record.LAST
    async with visit.reading() as connection:
        acts = await record.before(connection, key)
    return visit.page("record.html", acts=acts, older=acts[-1].id if len(acts) == record.SHOWN_MAX else None)


PAGES: Final = (Page("/record", Right.RECORD, show),)
