"""System: the processes, the stores, what waits, the key ring, and which release this is.

Invariant: no part of it waits for Kafka.
"""

from typing import Any, Final

from starlette.responses import Response

from prequal import __version__
from prequal.console.guard import Page
from prequal.console.live import LivePage, from_database
from prequal.console.queries import overview, system
from prequal.console.rights import Right
from prequal.console.visit import Visit
from prequal.policy_versions import life
from prequal.postgres import key_uses
from prequal.postgres.connections import Connection

MEBIBYTE: Final = 2**20


async def show(visit: Visit) -> Response:
    """The page; its upper half is live."""
    async with visit.reading() as connection:
        parts = await _parts(connection)
        database = await system.database(connection)
        uses = await key_uses.by_key(connection)
        policy = await life.found(connection, None)
    return visit.page(
        "system.html",
        **parts,
        database=database,
        size_mebibytes=database.size_bytes // MEBIBYTE,
        keys=sorted(uses.items(), key=lambda each: each[1].last_used, reverse=True),
        version=__version__,
        policy=policy,
    )


async def _parts(connection: Connection) -> dict[str, Any]:
    waiting = await overview.waiting(connection)
    processes = await system.processes(connection)
    return {"now": waiting.now, "waiting": waiting, "processes": processes, "counted_max": overview.COUNTED_MAX}


PAGES: Final = (Page("/system", Right.SYSTEM, show),)
LIVE: Final = (LivePage("/live/system", Right.SYSTEM, ("system_parts",), from_database(_parts)),)
