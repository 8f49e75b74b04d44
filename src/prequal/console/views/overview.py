"""Overview: what came in, how it was decided, how long it took, what waits."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Any, Final

from starlette.responses import Response

from prequal.console.guard import Page
from prequal.console.live import NOTHING, LivePage
from prequal.console.queries import overview, system
from prequal.console.queries.overview import APPLICATIONS_MAX, COUNTED_MAX, Group
from prequal.console.rights import Right
from prequal.console.visit import Console, Visit
from prequal.core.errors import Misconfigured, Transient
from prequal.domain.application import Status
from prequal.ops.queries import read_states
from prequal.postgres.connections import Connection

DEAD_LETTERS_AGE: Final = timedelta(seconds=5)
DEAD_LETTERS_WAIT_SECONDS: Final = 0.1
PERIODS: Final = {"1": "the last hour", "24": "the last 24 hours"}


async def show(visit: Visit) -> Response:
    """The overview of the last hour or day."""
    hours = visit.request.query_params.get("hours", "1")
    hours = hours if hours in PERIODS else "1"
    figures = await _look(int(hours), visit.console)
    return visit.page("overview.html", **figures, hours=hours, periods=PERIODS)


async def _look(hours: int, console: Console, _: Mapping[str, str] = NOTHING) -> dict[str, Any]:
    """What the page shows of so many hours."""
    try:
        snapshot = await console.dead_letters.look(DEAD_LETTERS_AGE, DEAD_LETTERS_WAIT_SECONDS)
    except (Transient, Misconfigured):
        snapshot = None  # how many wait is not known, or not yet
    async with console.pool.use("console_read") as connection:
        states = await read_states(connection) if snapshot and snapshot.dead_letters else {}
        return await _figures(hours, connection) | {"dead_letters": snapshot and snapshot.waiting(states)}


async def _figures(hours: int, connection: Connection) -> dict[str, Any]:
    waiting, processes = await overview.waiting(connection), await system.processes(connection)
    groups, oldest = await overview.groups(connection, waiting.now - timedelta(hours=hours))
    total = sum(group.applications for group in groups)
    return {
        "now": waiting.now,
        "waiting": waiting,
        "away": [name for name, number in processes.items() if not number],
        "groups": groups,
        "outcomes": _outcomes(groups, total),
        "total": total,
        "requested": sum((group.requested_inr for group in groups), Decimal(0)),
        "oldest": oldest,
        "cut": total >= APPLICATIONS_MAX,
        "counted_max": COUNTED_MAX,
    }


def _outcomes(groups: Sequence[Group], total: int) -> list[dict[str, Any]]:
    """Each status with its number and its share in percent."""
    counts = {status: sum(each.applications for each in groups if each.status == status) for status in Status}
    return [
        {"status": status.value, "count": number, "share": f"{100 * number / total:.1f}" if total else "0.0"}
        for status, number in counts.items()
    ]


FRAGMENTS: Final = ("overview_waiting", "overview_came_in")
PAGES: Final = (Page("/", Right.OVERVIEW, show),)
LIVE: Final = tuple(
    LivePage(f"/live/overview/{hours}", Right.OVERVIEW, FRAGMENTS, partial(_look, int(hours))) for hours in PERIODS
)
