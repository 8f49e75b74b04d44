"""Clients: who may call the API, and the end of one.

Invariant: no secret is made here: that needs PAN_HASH_KEY, and the console holds no key.
"""

import asyncio
from typing import Final

from starlette.responses import Response

from prequal.api_clients import administration
from prequal.console.done import Done
from prequal.console.guard import Page
from prequal.console.paging import cut
from prequal.console.rights import Right
from prequal.console.visit import Visit

SHOWN_MAX: Final = 100


async def show(visit: Visit) -> Response:
    """A page of the clients, in the order of their names, with their secrets."""
    after = visit.request.query_params.get("after", "")
    async with visit.reading() as connection:
        clients, last = cut(await administration.list_after(connection, after, SHOWN_MAX + 1), SHOWN_MAX)
    return visit.page("clients.html", clients=clients, further=last and last[0].id, after=after)


async def revoke(visit: Visit) -> Response:
    """Revoke a client for good."""
    url, client = visit.console.settings.database_url, visit.request.path_params["id"]
    await asyncio.to_thread(administration.revoke, url, visit.session.actor, client, None)
    return visit.moved("/clients", Done.REVOKED)


PAGES: Final = (
    Page("/clients", Right.CLIENTS, show),
    Page("/clients/{id}/revoke", Right.REVOKE_CLIENTS, revoke, "POST"),
)
