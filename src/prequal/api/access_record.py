"""One access record a request, as a line of the log: by its ids a caller's request is found again.

Invariant: a record holds no body, no query and no header's value but the request id, and never a PAN.
"""

import asyncio
import re
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, Final
from uuid import UUID

import structlog
from starlette.types import Scope

from prequal.service.http_protocol import PROBES
from prequal.telemetry.metrics import READ_ROUTES, SUBMIT_ROUTE

ROUTES: Final = PROBES | {SUBMIT_ROUTE, "/docs", "/redoc", "/openapi.json"}

READ_PATH: Final = re.compile(rf"{SUBMIT_ROUTE}/(?P<application_id>[^/]+)/(?P<what>{'|'.join(READ_ROUTES)})")
"""The path of one application's status or decision."""

SUCCESSES_A_SECOND: Final = 20
"""So many records of requests that succeeded, of all statuses under 400 together."""
ERRORS_A_SECOND: Final = 50
"""So many records of each status from 400 on."""
WINDOW_SECONDS: Final = 1.0

log = structlog.get_logger()


class AccessLog:
    """Writes the records; of what exceeds the bounds of a second, the number by status in one line at its end.

    Args:
        route: gives the route of a request, out of a closed set.
    """

    def __init__(self, route: Callable[[Scope], str] = lambda scope: route_of(scope["path"])) -> None:
        self._route = route
        self._recorded: Counter[int] = Counter()
        self._left_out: Counter[int] = Counter()
        self._is_window_open = False

    def record(self, scope: Scope, status: int, headers: Iterable[tuple[bytes, bytes]], seconds: float | None) -> None:
        """Record a request that was answered with these headers after `seconds`, None where that is not known.

        Of probes those alone that fail.
        """
        if status < 400 and scope["path"] in PROBES:
            return
        if not self._is_window_open:
            self._is_window_open = True
            asyncio.get_running_loop().call_later(WINDOW_SECONDS, self._close_window)
        bound, kind = (SUCCESSES_A_SECOND, 0) if status < 400 else (ERRORS_A_SECOND, status)
        if self._recorded[kind] >= bound:
            self._left_out[status] += 1
            return
        self._recorded[kind] += 1
        facts = _facts(scope, status, seconds)
        log.info("request", **facts, route=self._route(scope), application_id=_application_id(scope, headers))

    def _close_window(self) -> None:
        """Sum what was left out, and begin afresh with the next request."""
        self._is_window_open = False
        self._recorded.clear()
        if self._left_out:
            by_status = {str(status): count for status, count in sorted(self._left_out.items())}
            log.info("requests_not_recorded", statuses=by_status, seconds=WINDOW_SECONDS)
            self._left_out.clear()


def route_of(path: str) -> str:
    """The route of a path, out of a closed set."""
    return path if path in ROUTES else READ_ROUTES.get(path.rpartition("/")[2], "other")


def _facts(scope: Scope, status: int, seconds: float | None) -> dict[str, Any]:
    client = scope.get("client")
    return {
        "request_id": scope["request_id"],
        "correlation_id": scope["request_id"],  # where it has no task the context is another request's
        "caller": client[0] if client else None,
        "client": scope.get("api_client"),
        "method": scope["method"],
        "status": status,
        "ms": None if seconds is None else round(seconds * 1000, 1),
    }


def _application_id(scope: Scope, headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """The application of an accepted request, from its `Location`; of a read, from the path."""
    location = next((value.decode() for name, value in headers if name.lower() == b"location"), scope["path"])
    found = READ_PATH.fullmatch(location)
    try:
        return str(UUID(found["application_id"])) if found else None
    except ValueError:
        return None
