"""From the id of a request, which its client chose, to the application that it submitted."""

from uuid import UUID

from prequal.core.errors import UsageError
from prequal.ops import timeline_queries
from prequal.postgres.connections import Connection

NAMED_MAX = 20
"""Applications of one request's id that are named."""


async def submitted_by(connection: Connection, request_id: str) -> UUID | None:
    """The application that the request of this id submitted; None where there is none of 7 days.

    Raises:
        UsageError: several did, as clients choose the ids; it names them.
    """
    found = await timeline_queries.applications_of_request(connection, request_id, NAMED_MAX + 1)
    if len(found) > 1:
        more = len(found) > NAMED_MAX
        count = f"More than {NAMED_MAX}" if more else str(len(found))
        ids = ", ".join(map(str, found[:NAMED_MAX]))
        raise UsageError(
            f"{count} applications were submitted under this request id: "
            f"ask for one of them by its own id, the newest first: {ids}{' …' if more else '.'}"
        )
    return found[0] if found else None
